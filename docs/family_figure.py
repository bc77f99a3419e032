"""Draw docs/family.png: what each method computes once an image, and what once a region.

python docs/family_figure.py
"""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

IMAGE, REGION, TRAINED_APART = "#2a9d8f", "#e76f51", "#8d99ae"
METHODS = {
    "R-CNN": [
        ("selective\nsearch", IMAGE),
        ("warp", REGION),
        ("convolutions", REGION),
        ("fc6, fc7", REGION),
        ("SVM or softmax,\nbox ridge", TRAINED_APART),
    ],
    "SPPnet": [
        ("selective\nsearch", IMAGE),
        ("convolutions\n(frozen)", IMAGE),
        ("pyramid\npooling", REGION),
        ("fc6, fc7", REGION),
        ("SVM or softmax,\nbox ridge", TRAINED_APART),
    ],
    "Fast R-CNN": [
        ("selective\nsearch", IMAGE),
        ("convolutions", IMAGE),
        ("RoI pooling", REGION),
        ("fc6, fc7", REGION),
        ("classes and boxes,\none loss", REGION),
    ],
    "Faster R-CNN": [
        ("convolutions", IMAGE),
        ("RPN", IMAGE),
        ("RoI pooling", REGION),
        ("fc6, fc7", REGION),
        ("classes and boxes,\none loss", REGION),
    ],
}


def main():
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.add_subplot(xlim=(-1.15, 5.0), ylim=(-0.75, 3.6))
    axes.axis("off")
    for row, (method, parts) in enumerate(METHODS.items()):
        y = len(METHODS) - 1 - row
        axes.text(-1.1, y, method, va="center", fontsize=11, fontweight="bold")
        for column, (text, color) in enumerate(parts):
            axes.add_patch(
                FancyBboxPatch((column, y - 0.3), 0.82, 0.6, boxstyle="round,pad=0.04", color=color)
            )
            axes.text(column + 0.41, y, text, ha="center", va="center", color="white", fontsize=8.5)
            if column:
                axes.annotate("", (column - 0.05, y), (column - 0.13, y), arrowprops={"arrowstyle": "-|>"})
    for column, (text, color) in enumerate(
        [("once an image", IMAGE), ("once a region", REGION), ("trained apart, once a region", TRAINED_APART)]
    ):
        axes.text(0.2 + 1.6 * column, -0.65, f"■ {text}", color=color, fontsize=10)
    figure.savefig(Path(__file__).with_name("family.png"), dpi=130)


if __name__ == "__main__":
    main()
