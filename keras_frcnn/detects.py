"""What everything that finds objects has in common: models, exports, test-time augmentation.

Letters: N detections, P proposals, K classes.
"""

import typing


@typing.runtime_checkable
class Detects(typing.Protocol):
    """A detector, as evaluation, drawing and the commands know it.

    Attributes:
        class_names: tuple of the names of the K classes; their order gives the labels.
        needs_proposals: bool, whether it works on proposals from outside.
        has_one_size: bool, whether `detect` takes no `image_size`.
    """

    class_names: tuple
    needs_proposals: bool
    has_one_size: bool

    def detect(self, image, proposals=None, *, image_size=None):
        """Detect objects in images as they are: any size, answered in their own pixels.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255; or a list of these.
            proposals: where the detector `needs_proposals`: array `[P, 4]` xyxy, pixels, or a list of these;
                by default those of selective search.
            image_size: `(short side, limit of the long side)` in place of the detector's own, pixels.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]` (0…K−1), without padding; a list of such for a list.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is no image, or an argument does not suit the detector.
        """


def detect_each(detector, images, proposals, image_size):
    """The answer of `detect` to a list.

    Args:
        detector: `Detects`.
        images, proposals, image_size: arguments of `detect`, the first a list.

    Raises:
        ValueError: there are not as many proposals as images.
    """
    proposals = [None] * len(images) if proposals is None else proposals
    if len(proposals) != len(images):
        raise ValueError(
            f"There are {len(images)} images, but proposals for {len(proposals)}; give each its own."
        )
    return [detector.detect(*pair, image_size=image_size) for pair in zip(images, proposals)]


def refuse_proposals(detector):
    """Raise the ValueError of a detector that was given proposals and makes its own."""
    raise ValueError(
        f"{type(detector).__name__} makes its own proposals; leave them out, and give image_size by name."
    )
