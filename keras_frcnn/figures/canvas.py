"""Panels with an image and boxes, and the file that they are written to.

Letter: N boxes.
"""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from keras_frcnn.drawing import PALETTE, place
from keras_frcnn.files import replacing

SUFFIXES = (".png", ".jpg", ".pdf", ".svg")
# Color of ground truth, which stands out on photographs and is no color of a class.
TRUTH = "#00e5ff"
WIDTH = 5.0  # of a panel, inches
DPI = 110
NAME = 7  # of the letters of names, points


def panels(rows: int, columns: int, picture: np.ndarray, title: str):
    """Make a figure of panels in which the image fits.

    Args:
        rows, columns: numbers of panels.
        picture: `[H, W, 3]`, the image that most panels show.
        title: line above the figure.

    Returns:
        `matplotlib.figure.Figure`, and an array `[rows, columns]` of its axes, without frames.
    """
    from matplotlib.figure import Figure  # slow import (one second) that few callers need
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    height = WIDTH * min(max(picture.shape[0] / picture.shape[1], 0.6), 1.4) + 0.5
    layout = ConstrainedLayoutEngine(h_pad=0.08)  # inches, between the titles too
    figure = Figure(figsize=(WIDTH * columns, height * rows + 0.5), layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.ravel():
        each.set_axis_off()
    figure.suptitle(plain(title))
    return figure, axes


def show(axes, picture: np.ndarray, title: str) -> None:
    """Show an image `[H, W, 3]` in a panel; its pixels are the units of the boxes drawn over it."""
    height, width = picture.shape[:2]
    axes.imshow(picture, extent=(0, width, height, 0))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_title(plain(title), fontsize=10)


def draw_boxes(axes, boxes: Iterable, colors, width: float = 1.5, dashed: bool = False) -> None:
    """Draw boxes over an image.

    Args:
        axes: panel of matplotlib.
        boxes: `[N, 4]` xyxy, pixels of the image.
        colors: a color of matplotlib, or N of them.
        width: of the lines, points.
        dashed: whether the lines are dashed.
    """
    from matplotlib.patches import Rectangle

    boxes = np.reshape(np.asarray(boxes, np.float64), [-1, 4])
    single = isinstance(colors, (str, tuple))
    for index, (x1, y1, x2, y2) in enumerate(boxes):
        color = colors if single else colors[index]
        style = "--" if dashed else "-"
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color=color, lw=width, ls=style))


def name_boxes(axes, shape: tuple[int, int], boxes: Iterable, names: Sequence[str], colors: Sequence) -> None:
    """Write names at boxes where they hide no other name, as far as there is room.

    Args:
        axes: panel of matplotlib, in a figure of its own.
        shape: height and width of the image, pixels.
        boxes: `[N, 4]` xyxy, pixels; the first ones get the best places.
        names: N of them.
        colors: N colors of matplotlib.
    """
    pixels = shape[1] / (axes.figure.get_figwidth() * 72)  # of a point
    taken = []
    for box, name, color in zip(boxes, names, colors):
        # Letters are 0.6 times as wide as high, on average.
        size = pixels * NAME * 1.6, pixels * (NAME * 0.6 * len(name) + 3)
        x, y = place(size, box, shape, taken)
        taken.append((x, y, x + size[1], y + size[0]))
        ink = "black" if np.dot(_rgb(color), [0.299, 0.587, 0.114]) > 0.55 else "white"
        style = {"facecolor": color, "edgecolor": "none", "pad": 1.0}
        axes.text(x, y, plain(name), fontsize=NAME, color=ink, va="top", clip_on=True, bbox=style)


def legend(figure, colors: dict) -> None:
    """Explain colors below a figure: dict from the name of a kind to its color."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=color, edgecolor="#9e9e9e", label=plain(name)) for name, color in colors.items()
    ]
    columns = max(2, round(figure.get_figwidth() / 1.4))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def class_color(label: int) -> tuple:
    """The color of a class, the same as in `drawing.draw`."""
    return tuple(PALETTE[int(label) % len(PALETTE)] / 255.0)


def plain(text: str) -> str:
    """Escape what matplotlib would take for a formula."""
    return text.replace("$", r"\$")


def _rgb(color):
    from matplotlib.colors import to_rgb

    return to_rgb(color)


def write(figure, path: str | PathLike) -> None:
    """Write a figure to a file.

    Args:
        figure: `matplotlib.figure.Figure`.
        path: file that ends in .png, .jpg, .pdf or .svg; an existing one is replaced.

    Raises:
        OSError: the file cannot be written.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=DPI)


def check_path(path: Path) -> None:
    """Raise a ValueError if no figure can be written to a file of this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--output {path} is no picture; end its name in {', '.join(SUFFIXES)}.")
