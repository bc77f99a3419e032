"""Hand out an export only if it finds what its model finds."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_frcnn.export.parity import Parity, compare, grid, pictures


def agreement(write: Callable[..., tuple[Any, Any]], name: str, threshold: float, half: bool) -> str:
    """Write an export, and compare it with its model.

    Args:
        write: function that writes the export with the settings that it gets as keywords, and returns the
            detector that was read back and the `Detector` that it has to agree with. A second call, if there
            is one, must not touch what the first has written.
        name: words for the export in messages, such as "The .onnx file".
        threshold: score below which the export finds nothing, 0–1.
        half: whether the export has rounded weights.

    Returns:
        One sentence for the model card, without its period.

    Raises:
        ValueError: they do not agree.
    """
    parity, without = measured(*write(), half), ""
    if not parity.is_telling and threshold > 0:
        # Little is certain in the drawn pictures, and a score near the threshold may fall on either side of
        # it: what the model is less sure of decides.
        parity = measured(*write(score_threshold=0.0), half)
        without = ", all without the score threshold"
    if not parity.agrees:
        raise ValueError(
            f"{name} does not give the detections of the model: {parity}{without}; it was not written, and "
            "please report this model."
        )
    return f"{parity}{without}"


def measured(detector: Any, reference: Any, half: bool) -> Parity:
    """Compare two detectors on drawn pictures, and on two of them in one batch.

    Args:
        detector: of the export, with `takes_batches`.
        reference: `Detector`.
        half: whether the export has rounded weights.
    """
    images = pictures(reference.image_size)
    proposals = [grid(*image.shape[:2]) for image in images] if reference.needs_proposals else None
    answers = detector.detect(images, proposals)
    references = reference.detect(images, proposals)
    if detector.takes_batches:
        pair = np.stack([images[0], images[0][:, ::-1]])
        answers += detector.detect_together(pair)
        references += reference.detect([*pair])
    return compare(answers, references, half)
