"""Batches to train tiny models on."""

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def make_batches(image_of):
    """A function that makes a data set of `count` batches of two images with two objects each."""

    def make(count=2, boxes=((8, 8, 60, 50), (40, 20, 90, 90)), labels=(0, 1), ignore=(False, False)):
        images = np.stack([image_of(96, 96, seed) for seed in range(2)]).astype("float32")
        x = {"images": images, "image_shapes": np.int32([[96, 96]] * 2)}
        y = {
            "boxes": np.float32([np.reshape(boxes, [-1, 4])] * 2),
            "labels": np.int32([labels] * 2),
            "ignore": np.array([ignore] * 2, bool),
        }
        return tf.data.Dataset.from_tensors((x, y)).repeat(count)

    return make
