"""Selective search: the boxes of the regions that grow together when an image is grouped step by step.

Letters: H and W pixels of the image, P proposals.
"""

import numpy as np

MODES = {"fast": "switchToSelectiveSearchFast", "quality": "switchToSelectiveSearchQuality"}


def selective_search(image, mode="fast", top=2000):
    """Propose boxes by selective search (Uijlings et al. 2013), as OpenCV implements it.

    The same image always gives the same boxes in the same order.

    Args:
        image: `[H, W, 3]` RGB 0-255, uint8 or float.
        mode: "fast" or "quality", the paper's two settings; quality takes four times as long and finds more.
        top: at most so many proposals.

    Returns:
        float32 `[P, 4]` xyxy, half-open, whole pixels; different boxes, the whole image among those of which
        the best `top` are taken.

    Raises:
        ValueError: no RGB image, no such mode, or an OpenCV without selective search.

    Example:
        >>> selective_search(np.zeros([4, 6, 3], np.uint8))
        array([[0., 0., 6., 4.]], dtype=float32)
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(f"Selective search wants an RGB image [H, W, 3], not {image.shape}; convert it.")
    if mode not in MODES:
        raise ValueError(f"Selective search has no mode {mode!r}; choose one of {', '.join(MODES)}.")
    search = _segmentation().createSelectiveSearchSegmentation()
    bgr = np.clip(np.rint(image[..., ::-1]), 0, 255).astype(np.uint8)
    search.setBaseImage(np.ascontiguousarray(bgr))
    getattr(search, MODES[mode])()
    x, y, width, height = search.process().reshape(-1, 4).T
