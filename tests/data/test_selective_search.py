import concurrent.futures

import cv2
import numpy as np
import pytest

from keras_frcnn import data
from keras_frcnn.data.selective_search import selective_search


def scene(seed=0):
    """Four textured rectangles on a plain ground, and their boxes."""
    rng = np.random.default_rng(seed)
    image = np.full([90, 120, 3], 200, np.uint8)
    boxes = np.array([[10, 8, 50, 38], [66, 12, 110, 34], [14, 50, 44, 82], [62, 46, 114, 80]])
    for (x1, y1, x2, y2), color in zip(boxes, ([180, 30, 30], [20, 120, 40], [30, 40, 190], [90, 20, 120])):
        image[y1:y2, x1:x2] = np.clip(rng.normal(color, 6, [y2 - y1, x2 - x1, 3]), 0, 255)
    return image, boxes


def test_finds_the_objects_and_the_whole_image():
    image, objects = scene()
    found = selective_search(image)
    assert found.dtype == np.float32 and found.ndim == 2
    assert [0, 0, 120, 90] in found.tolist()
    assert (found[:, :2] >= 0).all() and (found[:, 2:] <= [120, 90]).all()
    assert (found[:, 2:] > found[:, :2]).all()
    assert len(np.unique(found, axis=0)) == len(found)
    for box in objects:
        assert np.abs(found - box).max(-1).min() <= 3


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_boxes_and_order_do_not_vary(mode):
    image, _ = scene()
    found = selective_search(image, mode, top=10**6)
    np.testing.assert_array_equal(selective_search(image, mode, top=10**6), found)
    np.testing.assert_array_equal(selective_search(image, mode, top=25), found[:25])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: selective_search(image, mode, top=10**6), range(8)):
            np.testing.assert_array_equal(other, found)


def test_opencv_threads_have_no_say():
    image, _ = scene()
    threads = cv2.getNumThreads()
    found = []
    for count in (1, 4):
        cv2.setNumThreads(count)
        found.append(selective_search(image))
    cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*found)


def test_large_images_are_searched_smaller():
    image = data.load("shapes@val").image(0)
    large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    found = selective_search(large, long_side=max(image.shape))
    np.testing.assert_array_equal(found, 2 * selective_search(image))


def test_quality_finds_more():
    image, _ = scene()
    assert len(selective_search(image, "quality", 10**6)) > len(selective_search(image, "fast", 10**6))


def test_colors_are_red_green_blue():
    # Swapped channels give other hues and other grouping.
    image, _ = scene()
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    search.switchToSelectiveSearchFast()
    expected = {(x, y, x + w, y + h) for x, y, w, h in search.process().tolist()} | {(0, 0, 120, 90)}
    assert {tuple(map(int, box)) for box in selective_search(image, top=10**6)} == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (5, 5), (1, 300), (16, 12)])
@pytest.mark.parametrize("kind", ["plain", "noise"])
@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_tiny_images(shape, kind, mode):
    image = np.full([*shape, 3], 7, np.uint8)
    if kind == "noise":
        image = np.random.default_rng(0).integers(0, 256, image.shape).astype(np.uint8)
    found = selective_search(image, mode)
    assert found.dtype == np.float32
    assert [0, 0, shape[1], shape[0]] in found.tolist()


def test_gray_and_float_images():
    image, _ = scene()
    gray = np.repeat(image[..., 1:2], 3, axis=-1)
    assert len(selective_search(gray)) > 4
    np.testing.assert_array_equal(selective_search(image.astype(np.float32) + 0.2), selective_search(image))


def test_refusals(monkeypatch):
    image, _ = scene()
    with pytest.raises(ValueError, match=r"RGB image \[H, W, 3\], not \(90, 120\)"):
        selective_search(image[..., 0])
    with pytest.raises(ValueError, match="no mode 'slow'; choose one of fast, quality"):
        selective_search(image, "slow")
    monkeypatch.delattr(cv2, "ximgproc")
    with pytest.raises(ValueError, match="pip uninstall -y .*; pip install opencv-contrib-python-headless"):
        selective_search(image)


def test_reaches_the_objects_of_photographs(shared):
    dataset = data.load(f"voc:{shared / 'data/voc2012_sample'}@val")
    found = selective_search(dataset.image(0))
    assert 300 < len(found) <= 2000
