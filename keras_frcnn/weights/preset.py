"""Published detectors, by name.

Names of files, AP and sizes are those of torchvision's `models/detection/faster_rcnn.py`: `url`, `_metrics`
and `_file_size` of the weights COCO_V1.
"""

import dataclasses

from keras_frcnn.downloads import PUBLISHER
from keras_frcnn.names import remedy

# torchvision's code is BSD 3-Clause; its README says that pretrained models may have terms of their own, from
# the data that they were trained on.
LICENSE = "BSD-3-Clause (torchvision); trained on COCO and ImageNet, whose terms may apply"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A published detector.

    Args:
        name: name for `FasterRCNN.from_preset`.
        model: name of torchvision's builder.
        file: name of the file, which ends with the first digits of its SHA-256.
        megabytes: size of the file, MiB.
        box_ap: published AP of boxes on COCO val2017, percent.
        license: terms of code and weights.
    """

    name: str
    model: str
    file: str
    megabytes: float
    box_ap: float
    license: str = LICENSE

    @property
    def url(self) -> str:
        """Address at which torchvision publishes the file."""
        return PUBLISHER + self.file

    @property
    def sha256(self) -> str:
        """First digits of the file's SHA-256."""
        return self.file.rpartition("-")[2].partition(".")[0]


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "fasterrcnn_resnet50_fpn_coco",
            "fasterrcnn_resnet50_fpn",
            "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
            159.743,
            37.0,
        ),
        Preset(
            "fasterrcnn_resnet50_fpn_v2_coco",
            "fasterrcnn_resnet50_fpn_v2",
            "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
            167.104,
            46.7,
        ),
        Preset(
            "fasterrcnn_mobilenet_v3_large_fpn_coco",
            "fasterrcnn_mobilenet_v3_large_fpn",
            "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
            74.239,
            32.8,
        ),
        Preset(
            "fasterrcnn_mobilenet_v3_large_320_fpn_coco",
            "fasterrcnn_mobilenet_v3_large_320_fpn",
            "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
            74.239,
            22.8,
        ),
    )
}


class _Table(tuple):
    """A tuple of presets that shows as a table."""

    def __repr__(self):
        rows = [("name", "box AP", "MiB", "SHA-256", "file")]
        rows += [(one.name, f"{one.box_ap:.1f}", f"{one.megabytes:.0f}", one.sha256, one.url) for one in self]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join(
            [*lines, *(f"License: {text}" for text in dict.fromkeys(one.license for one in self))]
        )


def presets() -> tuple[Preset, ...]:
    """List the published detectors that `FasterRCNN.from_preset` and the commands take by name.

    Returns:
        tuple of `Preset`; printed, it is a table.

    Example:
        >>> [preset.name for preset in presets() if preset.box_ap > 40]
        ['fasterrcnn_resnet50_fpn_v2_coco']
    """
    return _Table(PRESETS.values())


def preset(name: str) -> Preset:
    """Find a preset by its name.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in PRESETS:
        listed = remedy(name, PRESETS, f"use one of {', '.join(PRESETS)}.")
        raise ValueError(f"There is no preset {name!r}; {listed}")
    return PRESETS[name]
