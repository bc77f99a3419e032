"""The interface shared by everything that finds objects: models, exports, test-time augmentation.

Letters: N detections, P proposals, K classes.
"""

import typing


@typing.runtime_checkable
class Detects(typing.Protocol):
    """A detector, as evaluation, drawing and the commands see it.

    Attributes:
        class_names: tuple of the K class names; their order defines the labels.
        needs_proposals: bool, whether it works on external proposals.
        only_proposals: bool, whether its detections are proposals, without classes.
        has_one_size: bool, whether `detect` takes no `image_size`.
    """

    class_names: tuple
    needs_proposals: bool
    only_proposals: bool
    has_one_size: bool

    def detect(self, image, proposals=None, *, image_size: tuple[int, int] | None = None) -> typing.Any:
        """Detect objects in images of any size; boxes are in pixels of the given image.

        Args:
            image: path, or array `[H, W, 3]` RGB 0–255; or a list of these.
            proposals: for a detector that `needs_proposals`: array `[P, 4]` xyxy, pixels, or a list of these;
                by default those of selective search.
            image_size: `(short side, limit of the long side)`, pixels; by default the detector's own.

        Returns:
            dict of arrays "boxes" float32 `[N, 4]` (pixels), "scores" float32 `[N]` (0–1, best first) and
            "labels" int32 `[N]` (0…K−1), without padding; for a list of images, a list of dicts.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a file is not an image, or an argument does not suit the detector.
        """


def detect_each(detector, images, proposals, image_size):
    """Call `detect` on each image of a list.

    Args:
        detector: `Detects`.
        images, proposals, image_size: arguments of `detect`, the first a list.

    Raises:
        ValueError: the numbers of images and proposals differ.
    """
    proposals = [None] * len(images) if proposals is None else proposals
    if len(proposals) != len(images):
        raise ValueError(
            f"There are {len(images)} images, but proposals for {len(proposals)}; give each its own."
        )
    return [detector.detect(*pair, image_size=image_size) for pair in zip(images, proposals)]


def refuse_proposals(detector):
    """Raise a ValueError: the detector makes its own proposals, but was given some."""
    raise ValueError(
        f"{type(detector).__name__} makes its own proposals; leave them out, and give image_size by name."
    )
