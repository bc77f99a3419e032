import types

import numpy as np
import pytest

from keras_frcnn import drawing, images

GRAY = 90


def blank(height, width):
    return np.full([height, width, 3], GRAY, np.uint8)


def found(*boxes, scores=None, labels=None):
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "scores": np.array(scores or [0.9] * len(boxes), np.float32),
        "labels": np.array(labels or [0] * len(boxes), np.int32),
    }


def changed(picture):
    """Half-open corners of the pixels that are not gray any more."""
    y, x = np.nonzero((picture != GRAY).any(-1))
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def test_the_frame_is_where_the_box_is():
    image = blank(200, 300)
    picture = drawing.draw(image, found([100, 60, 250, 160]), ["a"])
    assert (image == GRAY).all()
    color = drawing.PALETTE[0]
    for y, x in [(60, 100), (60, 249), (159, 100), (159, 249)]:
        assert (picture[y, x] == color).all()
    assert (picture[64:156, 104:246] == GRAY).all()
    # The label is above; nothing else lies outside.
    left, top, right, bottom = changed(picture)
    assert (left, right, bottom) == (100, 250, 160) and 30 < top < 60


@pytest.mark.parametrize("box", [[-50, -9, 400, 900], [0, 0, 40, 30], [39.6, 29.7, 40, 30], [60, 50, 70, 60]])
@pytest.mark.parametrize("name", ["a", "a name far longer than the image is wide"])
def test_stays_inside_the_image(box, name):
    picture = drawing.draw(blank(30, 40), found(box), [name])
    assert picture.shape == (30, 40, 3) and picture.dtype == np.uint8
    assert (picture != GRAY).any()


@pytest.mark.parametrize("side", [1, 5, 64, 3000])
def test_any_size(side):
    assert drawing.draw(blank(side, side), found([0, 0, side, side]), ["a"]).shape == (side, side, 3)


def test_the_threshold_is_the_lowest_score_drawn():
    detection = found([10, 30, 40, 60], [60, 70, 90, 95], scores=[0.5, 0.25], labels=[1, 0])
    picture = drawing.draw(blank(100, 100), detection, ["a", "b"], score_threshold=0.5)
    assert (picture[60:] == GRAY).all()
    assert (picture[59, 39] == drawing.PALETTE[1]).all()
    assert (drawing.draw(blank(100, 100), detection, ["a", "b"], score_threshold=0.6) == GRAY).all()


def test_draws_nothing_when_there_is_nothing():
    assert (drawing.draw(blank(20, 20), found(), ["a"]) == GRAY).all()


def test_labels_in_a_large_image_leave_small_objects_visible():
    corners = [(x, y) for x in range(300, 5000, 400) for y in range(300, 3000, 400)]
    boxes = np.array([(x, y, x + 120, y + 120) for x, y in corners], np.float32)
    found = {"boxes": boxes, "scores": np.full(len(boxes), 0.9), "labels": np.zeros(len(boxes), int)}
    image = np.full([3200, 5400, 3], 128, np.uint8)
    drawn = drawing.draw(image, found, ("cell",))
    for x, y in corners:
        assert (drawn[y : y + 120, x : x + 120] == 128).all(-1).mean() > 0.6
    # Objects as large as the image have labels of its scale.
    found = {"boxes": boxes[:1] * 0 + [0, 1000, 5400, 3200], "scores": np.ones(1), "labels": np.zeros(1, int)}
    assert (drawing.draw(image, found, ("cell",))[:1000] != 128).any(-1).any(1).sum() > 80


def test_labels_make_room_for_each_other():
    boxes = [[100, 100, 200, 200], [102, 100, 202, 200]]
    picture = drawing.draw(blank(300, 300), found(*boxes, scores=[0.9, 0.8], labels=[0, 1]), ["a", "b"])
    best, other = ((picture[:100] == color).all(-1).any(0) for color in drawing.PALETTE[:2])
    assert best[:150].any() and not best[150:].any()
    assert other[150:].any() and not other[:150].any()


def test_colors_of_many_classes():
    count = 2 * len(drawing.PALETTE)
    picture = drawing.draw(
        blank(50, 50), found([5, 20, 45, 45], labels=[count - 1]), [str(n) for n in range(count)]
    )
    assert (picture[44, 44] == drawing.PALETTE[-1]).all()


class Detector:
    """Finds one box that covers the right half of every image."""

    class_names = ("a",)

    def detect(self, image):
        height, width = image.shape[:2]
        return found([width / 2, 0, width, height])


class Dataset:
    """Images of given sizes; the gray level tells which it is; some have an object."""

    def __init__(self, sizes, objects):
        self.sizes = sizes
        self.records = [
            types.SimpleNamespace(height=height, width=width, labels=[0] * count)
            for (height, width), count in zip(sizes, objects)
        ]

    def __len__(self):
        return len(self.sizes)

    def image(self, index):
        return np.full([*self.sizes[index], 3], 10 * index, np.uint8)


def levels(path, count, columns):
    """The gray level in the left half of each cell."""
    grid = images.read(path)
    rows = -(-count // columns)
    height, width = (grid.shape[0] - 8) // rows, (grid.shape[1] - 8) // columns
    spots = [(8 + n // columns * height, 8 + n % columns * width) for n in range(count)]
    return [int(grid[y + height // 2, x + width // 4, 0]) for y, x in spots]


def test_the_grid_spreads_over_the_set_and_prefers_objects(tmp_path):
    dataset = Dataset([(30, 40)] * 9, [1, 0, 1, 1, 0, 1, 1, 0, 1])
    drawing.draw_grid(Detector(), dataset, tmp_path / "a.png", images=3, columns=2)
    assert levels(tmp_path / "a.png", 3, 2) == [0, 30, 80]
    drawing.draw_grid(Detector(), dataset, tmp_path / "b.png", images=9, columns=3)
    assert levels(tmp_path / "b.png", 9, 3) == list(range(0, 90, 10))


def test_the_grid_letterboxes_images_of_any_size(tmp_path):
    dataset = Dataset([(30, 40), (60, 80), (200, 20)], [1, 1, 1])
    drawing.draw_grid(Detector(), dataset, tmp_path / "a.png")
    grid = images.read(tmp_path / "a.png")
    assert grid.shape == (300 + 16, 3 * 408 + 8, 3)
    tall = grid[8:308, 8 + 2 * 408 :][:, :400]
    assert (tall[:, :180] == 236).all() and (tall[:, 220:] == 236).all()
    # The box begins in the middle of the image, which is in the middle of its cell.
    assert (tall[200, 200] == drawing.PALETTE[0]).all()


def test_the_grid_takes_the_proposals_of_the_set(tmp_path):
    class Classifier(Detector):
        needs_proposals = True

        def detect(self, image, proposals):
            seen.append(proposals)
            return super().detect(image)

    seen, dataset = [], Dataset([(30, 40)] * 2, [1, 1])
    dataset.proposals = ["of the first", "of the second"]
    drawing.draw_grid(Classifier(), dataset, tmp_path / "a.png")
    assert seen == dataset.proposals


def test_the_grid_of_one_image(tmp_path):
    drawing.draw_grid(Detector(), Dataset([(30, 40)], [0]), tmp_path / "a.png")
    assert images.read(tmp_path / "a.png").shape == (316, 416, 3)


@pytest.mark.parametrize("name", ["a.png", "ä b.jpg", "a.JPG"])
def test_write_keeps_the_colors(tmp_path, name):
    picture = np.full([16, 16, 3], [200, 120, 40], np.uint8)
    drawing.write(tmp_path / name, picture)
    np.testing.assert_allclose(images.read(tmp_path / name), picture, atol=3)
