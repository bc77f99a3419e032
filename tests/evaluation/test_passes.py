"""Images that share a pass, beside a detector that notes what it is given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_frcnn.evaluation import check_batch_size, detect_in_passes


class Noting:
    """Answers with the first value of an image, and notes the number of images in each pass."""

    needs_proposals = False

    def __init__(self):
        self.passes = []

    def detect(self, image):
        self.passes.append([image.shape])
        return {"scores": image[0, 0, :1]}

    def detect_together(self, images):
        self.passes.append([image.shape for image in images])
        return [{"scores": image[0, 0, :1]} for image in images]


@given(st.lists(st.integers(1, 3), max_size=20), st.integers(1, 5))
def test_neighbors_of_one_shape_share_a_pass(heights, batch_size):
    detector = Noting()
    images = [(name, np.full([height, 2, 3], name)) for name, height in enumerate(heights)]
    answers = list(detect_in_passes(detector, images, batch_size))
    assert [name for name, _, _ in answers] == [*range(len(heights))]
    assert all(name == image[0, 0, 0] == found["scores"][0] for name, image, found in answers)
    assert [shape for shapes in detector.passes for shape in shapes] == [image.shape for _, image in images]
    for shapes, following in zip(detector.passes, [*detector.passes[1:], [None]]):
        assert len({*shapes}) == 1 and len(shapes) <= batch_size
        assert len(shapes) == batch_size or shapes[0] != following[0]


def test_refuses_what_no_detector_can():
    with pytest.raises(ValueError, match="The batch size is 0; give at least 1"):
        check_batch_size(Noting(), 0)
    detector = Noting()
    detector.needs_proposals = True
    with pytest.raises(ValueError, match="one image at a time"):
        check_batch_size(detector, 2)
    with pytest.raises(ValueError, match="object takes one image at a time"):
        check_batch_size(object(), 2)
    detector.needs_proposals, detector.takes_batches = False, False
    with pytest.raises(ValueError, match="Noting takes one image at a time"):
        check_batch_size(detector, 2)
