"""Numbers of the report as HTML that tells where in the JSON they stand."""

import json
import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

DASH = "–"


class Numbers:
    """Writes numbers of a report by their paths in it.

    Each becomes `<data value=… data-path=…>`: the value as in the JSON, the path as a JSON list, and the
    rounded text that a reader sees. So no number of the page is anything but one of the JSON.

    Args:
        report: the dict that is written as JSON.

    Example:
        >>> Numbers({"coco_ap": 0.5}).percent("coco_ap")
        Markup('<data value="0.5" data-path="[&#34;coco_ap&#34;]">50.0</data>')
    """

    def __init__(self, report: Mapping[str, Any]):
        self._report = report

    def percent(self, *path: str | int) -> Markup:
        """A fraction as percent with one digit after the point."""
        return self._number(path, lambda value: f"{100 * value:.1f}")

    def points(self, *path: str | int) -> Markup:
        """A difference of fractions in points of percent, with its sign."""
        # Adding 0 makes -0 a plain 0.
        return self._number(path, lambda value: f"{round(100 * value, 1) + 0.0:+.1f}")

    def score(self, *path: str | int) -> Markup:
        """A score or an IoU with two digits after the point."""
        return self._number(path, lambda value: f"{value:.2f}")

    def threshold(self, *path: str | int) -> Markup:
        """A score threshold, rounded down so that the detections that set it still reach it."""
        return self._number(path, lambda value: f"{math.floor(round(1e4 * value, 6)) / 1e4:g}")

    def count(self, *path: str | int) -> Markup:
        """A whole number."""
        return self._number(path, lambda value: f"{value:,}")

    def seconds(self, *path: str | int) -> Markup:
        """Seconds with three significant digits."""
        return self._number(path, lambda value: f"{value:.3g} s")

    def interval(self, *path: str | int) -> Markup:
        """The two ends of an interval of fractions, in percent."""
        return Markup("[{}, {}]").format(self.percent(*path, 0), self.percent(*path, 1))

    def difference_interval(self, *path: str | int) -> Markup:
        """The two ends of an interval of differences, in points of percent."""
        return Markup("[{}, {}]").format(self.points(*path, 0), self.points(*path, 1))

    def _number(self, path, words):
        value = self._report
        for step in path:
            value = value[step]
        text = DASH if value is None else words(value)
        stands = "" if value is None else json.dumps(value)
        return Markup('<data value="{}" data-path="{}">{}</data>').format(stands, json.dumps(path), text)
