"""Boxes in another format than the one expected of them, through several readers."""

import json

import cv2
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.data.readers import box_formats, shapes

PICTURES = 40


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Scenes whose pictures are files: the folder and the data set."""
    folder = tmp_path_factory.mktemp("scenes")
    dataset = shapes.load("val", PICTURES)
    for index in range(PICTURES):
        cv2.imwrite(str(folder / f"{index:02}.png"), dataset.image(index)[..., ::-1])
    return folder, dataset


def numbers(dataset, written):
    """For each scene the boxes as they stand in a file of another format."""
    for record in dataset.records:
        yield np.stack(box_formats.FORMATS[written][2](*record.boxes.T.astype(float)), axis=-1)


def csv_file(scenes, written):
    folder, dataset = scenes
    rows = [
        ",".join([f"{index:02}.png", *map(str, box), "thing"])
        for index, boxes in enumerate(numbers(dataset, written))
        for box in boxes
    ]
    (folder / f"{written}.csv").write_text("\n".join(rows))
    return f"csv:{folder / f'{written}.csv'}@{folder}"


def coco_file(scenes, written):
    folder, dataset = scenes
    annotations = [
        {"image_id": index, "category_id": 1, "bbox": box.tolist()}
        for index, boxes in enumerate(numbers(dataset, written))
        for box in boxes
    ]
    content = {
        "images": [{"id": index, "file_name": f"{index:02}.png"} for index in range(PICTURES)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    (folder / f"{written}.json").write_text(json.dumps(content))
    return f"coco:{folder / f'{written}.json'}@{folder}"


def yolo_file(scenes, written, tmp_path):
    folder, dataset = scenes
    for name in ("images", "labels"):
        (tmp_path / name / "train").mkdir(parents=True)
    for index, boxes in enumerate(numbers(dataset, written)):
        (tmp_path / f"images/train/{index:02}.png").write_bytes((folder / f"{index:02}.png").read_bytes())
        sides = np.array([dataset.records[index].width, dataset.records[index].height] * 2)
        lines = [" ".join(["0", *map(str, box / sides)]) for box in boxes]
        (tmp_path / f"labels/train/{index:02}.txt").write_text("\n".join(lines))
    (tmp_path / "data.yaml").write_text("{train: images/train, names: [thing]}")
    return f"yolo:{tmp_path / 'data.yaml'}@train"


@pytest.mark.parametrize("written", ["xywh", "cxcywh"])
def test_csv_with_sizes_for_corners(scenes, written):
    with pytest.raises(
        ValueError, match=f"read as x1, y1, x2, y2, .* as {box_formats.FORMATS[written][0]} 100%"
    ):
        kf.data.load(csv_file(scenes, written))


@pytest.mark.parametrize("written", ["xyxy", "cxcywh"])
def test_coco_with_corners_for_sizes(scenes, written):
    with pytest.raises(
        ValueError, match=f"read as x, y, width, height.* as {box_formats.FORMATS[written][0]} 100%"
    ):
        kf.data.load(coco_file(scenes, written))


@pytest.mark.parametrize("written", ["xyxy", "xywh"])
def test_yolo_with_a_corner_for_the_center(scenes, written, tmp_path):
    with pytest.raises(ValueError, match=f"read as center x.* as {box_formats.FORMATS[written][0]} 100%"):
        kf.data.load(yolo_file(scenes, written, tmp_path))


def test_arrays_in_another_format(scenes):
    _, dataset = scenes
    images = [dataset.image(index) for index in range(PICTURES)]
    labels = [record.labels for record in dataset.records]
    boxes = [*numbers(dataset, "xyxy")]
    with pytest.raises(ValueError, match="from_arrays has boxes in another format"):
        kf.data.from_arrays(images, boxes, labels, dataset.class_names, "cxcywh")


def test_the_right_format_passes(scenes, tmp_path):
    _, dataset = scenes
    wanted = [record.boxes for record in dataset.records if len(record.boxes)]
    for spec in (csv_file(scenes, "xyxy"), coco_file(scenes, "xywh"), yolo_file(scenes, "cxcywh", tmp_path)):
        boxes = [record.boxes for record in kf.data.load(spec).records if len(record.boxes)]
        np.testing.assert_allclose(np.concatenate(boxes), np.concatenate(wanted), atol=0.01)


def test_a_few_boxes_prove_nothing():
    boxes, sides = np.array([[30.0, 40, 20, 10]] * 9), np.array([[60, 60]] * 9)
    box_formats.refuse_other_format(boxes, sides, "xyxy", "few")
    with pytest.raises(ValueError, match="10 of 10 .* x, y, width, height 100%"):
        box_formats.refuse_other_format(
            *(np.tile(part[:1], [10, 1]) for part in (boxes, sides)), "xyxy", "ten"
        )


def test_swapped_corners_of_one_box_keep_their_own_sentence(scenes):
    folder, _ = scenes
    csv_file(scenes, "xyxy")
    swapped = folder / "swapped.csv"
    swapped.write_text((folder / "xyxy.csv").read_text() + "\n00.png,90,10,60,40,thing")
    with pytest.raises(ValueError, match="ends before it begins"):
        kf.data.load(f"csv:{swapped}@{folder}")


@pytest.mark.parametrize(
    "spec", ["voc:{}/bccd@trainval", "voc:{}/raccoon@train", "voc:{}/voc2012_sample@val"]
)
@pytest.mark.filterwarnings("ignore")
def test_real_sets_are_in_one_format_only(shared, spec):
    dataset = kf.data.load(spec.format(shared / "data"))
    sides = [(record.width, record.height) for record in dataset.records]
    boxes, sides = box_formats.joined([record.boxes for record in dataset.records], sides)
    assert box_formats.inside(boxes, sides, "xyxy", "xyxy").mean() > 0.99
    assert box_formats.inside(boxes, sides, "xyxy", "xywh").mean() < 0.5
    assert box_formats.inside(boxes, sides, "xyxy", "cxcywh").mean() < 0.5


@pytest.mark.parametrize(("count", "beyond"), [(12, 1), (200, 12)])
def test_single_boxes_that_reach_out_are_clipped_not_taken_for_another_format(count, beyond):
    image = np.zeros([100, 100, 3], np.uint8)
    boxes = [[90, 40, 20, 20] if index < beyond else [40, 40, 20, 20] for index in range(count)]
    with pytest.warns(UserWarning, match=f"{beyond} box.* reaching outside the image clipped"):
        dataset = kf.data.from_arrays(
            [image] * count, [[box] for box in boxes], [["a"]] * count, box_format="xywh"
        )
    assert len(dataset) == count
