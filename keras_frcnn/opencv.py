"""OpenCV, looked over once: each of its wheels installs a folder cv2, so a second one breaks the first."""

import importlib.metadata
import warnings

WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
REPAIR = f"repair it with: pip uninstall -y {' '.join(WHEELS)}; pip install opencv-contrib-python-headless"


def _is_installed(name):
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


_there = [name for name in WHEELS if _is_installed(name)]
if len(_there) > 1:
    warnings.warn(
        f"{' and '.join(_there)} are installed over one another, and files of one may be missing; {REPAIR}",
        stacklevel=2,
    )
try:
    import cv2

    _ = cv2.imdecode  # a folder without files can be imported too
except (ImportError, AttributeError) as error:
    raise ImportError(f"OpenCV cannot be imported ({error}); {REPAIR}") from error

__all__ = ["REPAIR", "cv2"]
