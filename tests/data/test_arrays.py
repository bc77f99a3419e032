"""Data sets from arrays, lists of files, and the dicts of KerasHub."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import data, evaluation

IMAGES = [
    np.full([40, 60, 3], 90, np.uint8),
    np.full([60, 40, 3], 30, np.uint8),
    np.zeros([50, 50, 3], np.uint8),
]
BOXES = [[[4, 9, 20, 30], [30, 5, 60, 40]], [[1, 2, 3, 58]], []]
LABELS = [[0, 1], [1], []]
NAMES = ("cat", "dog")


def check(dataset, ids=None):
    assert dataset.class_names == NAMES and len(dataset) == 3
    for index, record in enumerate(dataset.records):
        np.testing.assert_allclose(record.boxes, np.reshape(BOXES[index], [-1, 4]), atol=1e-4)
        assert record.labels.tolist() == LABELS[index]
        assert dataset.image(index).shape == IMAGES[index].shape == (record.height, record.width, 3)


def converted(function):
    return [[function(*box) for box in boxes] for boxes in BOXES]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("box_format", "boxes"),
    [
        ("xyxy", BOXES),
        ("yxyx", converted(lambda a, b, c, d: (b, a, d, c))),
        ("xywh", converted(lambda a, b, c, d: (a, b, c - a, d - b))),
        ("cxcywh", converted(lambda a, b, c, d: ((a + c) / 2, (b + d) / 2, c - a, d - b))),
    ],
)
def test_formats_of_boxes(box_format, boxes):
    check(data.from_arrays(IMAGES, boxes, LABELS, NAMES, box_format=box_format))


@pytest.mark.filterwarnings("error")
def test_fractions():
    fractions = [
        [[a / width, b / height, c / width, d / height] for a, b, c, d in boxes]
        for boxes, (height, width, _) in zip(BOXES, (image.shape for image in IMAGES))
    ]
    check(data.from_arrays(IMAGES, fractions, LABELS, NAMES, box_format="rel_xyxy"))
    with pytest.raises(
        ValueError, match="image 0 has a box at 60, which is no fraction; use another box_format"
    ):
        data.from_arrays(IMAGES, BOXES, LABELS, NAMES, box_format="rel_xyxy")
    with pytest.raises(ValueError, match="looks normalized"):
        data.from_arrays(IMAGES, fractions, LABELS, NAMES)


@pytest.mark.filterwarnings("error")
def test_files_and_names(tmp_path):
    files = [tmp_path / f"{index}.png" for index in range(3)]
    for file, image in zip(files, IMAGES):
        cv2.imwrite(str(file), image)
    check(data.from_arrays(files, BOXES, [["cat", "dog"], ["dog"], []]))
    check(data.from_arrays([str(file) for file in files], BOXES, LABELS, NAMES))
    with pytest.raises(FileNotFoundError, match="There is no image file .*none.png"):
        data.from_arrays([tmp_path / "none.png"], [[]], [[]], NAMES)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("key", ["labels", "classes"])
def test_dicts_of_kerashub(key):
    def elements():
        for image, boxes, labels in zip(IMAGES, BOXES, LABELS):
            boxes = np.reshape(np.float32(boxes), [-1, 4])
            yield {"images": image, "bounding_boxes": {"boxes": boxes, key: np.int32(labels)}}

    signature = {
        "images": tf.TensorSpec([None, None, 3], tf.uint8),
        "bounding_boxes": {"boxes": tf.TensorSpec([None, 4]), key: tf.TensorSpec([None], tf.int32)},
    }
    single = tf.data.Dataset.from_generator(elements, output_signature=signature)
    check(data.from_arrays(single, class_names=NAMES))
    padded = tf.data.Dataset.from_tensors(
        {
            "images": np.zeros([2, 30, 30, 3], np.float32),
            "bounding_boxes": {
                "boxes": np.float32([[[1, 2, 3, 4], [-1] * 4], [[5, 6, 7, 8], [9, 9, 19, 19]]]),
                key: np.int32([[1, -1], [0, 1]]),
            },
        }
    )
    assert [len(record.boxes) for record in data.from_arrays(padded, class_names=NAMES).records] == [1, 2]
    with pytest.raises(ValueError, match="has no end; leave out its `repeat`"):
        data.from_arrays(padded.repeat(), class_names=NAMES)


def test_it_is_a_data_set_like_the_others(make_model):
    dataset = data.from_arrays(IMAGES, BOXES, LABELS, NAMES, ignore=[[False, True], [False], []])
    assert dataset.records[0].ignore.tolist() == [False, True]
    x, y = next(iter(dataset.batches(1, image_size=(40, 60), training=True, flip=0.0)))
    assert x["images"].shape[-1] == 3 and y["boxes"].shape[-1] == 4
    scores = evaluation.evaluate(make_model(NAMES), dataset)
    assert scores["images"] == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((IMAGES, BOXES[:2], LABELS, NAMES), "There are 3 images and 2 entries of boxes"),
        ((IMAGES, BOXES, LABELS), "The labels are numbers; give class_names"),
        ((IMAGES, BOXES, [[0, 2], [1], []], NAMES), "image 0 has the label 2; there are the labels 0 to 1"),
        (
            (IMAGES, BOXES, [["cat", "owl"], ["dog"], []], NAMES),
            "image 0 has the class owl, which class_names lacks",
        ),
        ((IMAGES, BOXES, [[0], [1], []], NAMES), "^image 0 has 2 boxes and 1 label; give one of each"),
        (
            (IMAGES, BOXES, [[0, 1], [1], []], NAMES, "xyxy", [[True], [False], []]),
            "^image 0 has 2 boxes, 2 labels and 1 of ignore; give one of each for each object",
        ),
        ((IMAGES, [[[1, 2, 3]], [], []], [[0], [], []], NAMES), r"image 0 has boxes of the shape \(1, 3\)"),
        (
            ([IMAGES[0] / 255], [[]], [[]], NAMES),
            "Image 0 has pixels from 0.352941 to 0.352941; give 0 to 255",
        ),
        (([IMAGES[0][..., 0]], [[]], [[]], NAMES), r"Image 0 has the shape \(40, 60\)"),
        ((IMAGES, BOXES, LABELS, NAMES, "voc"), "box_format is 'voc'; use 'xyxy' or 'yxyx'"),
        (
            (IMAGES, [[[20, 9, 4, 30]], [], []], [[0], [], []], NAMES),
            "Object 0 of image 0 ends before it begins",
        ),
        ((IMAGES,), "Images need boxes and labels"),
    ],
)
def test_refuses_in_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        data.from_arrays(*arguments)
