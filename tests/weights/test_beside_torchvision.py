"""Both sides on random images, where torch and torchvision are installed."""

import numpy as np
import pytest

import keras_frcnn as kf

torch = pytest.importorskip("torch", reason="torch is not installed", exc_type=ImportError)
detection = pytest.importorskip(
    "torchvision.models.detection", reason="torchvision is not installed", exc_type=ImportError
)
SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"
# The third is one whose resized side the float64 rounding makes a pixel smaller.
SIZES = [(240, 320), (375, 250), (303, 500), (64, 200), (480, 480)]


@pytest.fixture(scope="module")
def both(pseudo, converted):
    theirs = getattr(detection, SMALL)(weights=None, weights_backbone=None, num_classes=91).eval()
    state = kf.weights.to_torchvision(converted(SMALL))
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=True)
    assert [name for name in theirs.state_dict()] == list(pseudo.pseudo_state_dict(SMALL))
    return converted(SMALL), theirs


@pytest.mark.parametrize("size", SIZES)
def test_the_same_detections(both, pseudo, size):
    ours, theirs = both
    image = pseudo.pseudo_image(*size)
    with torch.no_grad():
        (expected,) = theirs([torch.from_numpy(image).permute(2, 0, 1).float() / 255.0])
    answer = ours.detect(image)
    assert abs(len(answer["scores"]) - len(expected["scores"])) <= 1
    # As test_parity.py says: of two proposals with nearly equal logits either may suppress the other.
    same = np.abs(answer["boxes"][:, None] - expected["boxes"].numpy()).max(axis=-1) < 0.05
    same &= np.abs(answer["scores"][:, None] - expected["scores"].numpy()) < 1e-3
    same &= answer["labels"][:, None] + 1 == expected["labels"].numpy()
    assert same.any(axis=0).mean() >= 0.95
