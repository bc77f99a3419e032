"""What a check of a data set found."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_frcnn.class_names import visible
from keras_frcnn.data.records import counted

SEVERITIES = {
    "error": "Training stops at these",
    "warning": "Training goes on, but look at these",
    "note": "Good to know",
}
# Exit status of the command by the worst finding.
STATUS = {"note": 0, "warning": 1, "error": 2}
# Places of a finding that the report names; the JSON has all.
SHOWN = 3
# Findings of one severity that the report has.
MOST_LINES = 20


@dataclasses.dataclass(frozen=True)
class Finding:
    """One kind of defect or peculiarity.

    Attributes:
        severity: "error", "warning" or "note".
        text: str, what it is, with its number.
        places: sequence of str, the objects and files.
        remedy: str, what to do; "" for nothing.
        undecided: whether a clean copy leaves it as it is, because only the user knows what is right.
    """

    severity: str
    text: str
    places: Sequence[str] = ()
    remedy: str = ""
    undecided: bool = False

    @classmethod
    def count(
        cls,
        severity: str,
        noun: str,
        what: str,
        places: Sequence[str],
        remedy: str = "",
        undecided: bool = False,
    ) -> list["Finding"]:
        """A list of one finding whose text begins with the number of places; an empty one for none."""
        text = f"{counted(len(places), noun)} {what}"
        return [cls(severity, text, places, remedy, undecided)] if places else []

    def line(self) -> str:
        """The finding in one line, with the first places."""
        first = ", ".join(self.places[:SHOWN])
        more = f" and {len(self.places) - SHOWN} more" if len(self.places) > SHOWN else ""
        line = self.text + (f": {first}{more}" if first else "") + (f". {self.remedy}" if self.remedy else "")
        return visible(line)


def status(findings: Sequence[Finding]) -> int:
    """Exit status: 2 where training stops, 1 where something is doubtful, 0 otherwise."""
    return max((STATUS[finding.severity] for finding in findings), default=0)


def report(findings: Sequence[Finding]) -> str:
    """The findings in lines, the worst first."""
    lines = []
    for severity, title in SEVERITIES.items():
        found = [finding for finding in findings if finding.severity == severity]
        if found:
            lines += [f"{title}:", *(f"  {finding.line()}" for finding in found[:MOST_LINES])]
            more = len(found) - MOST_LINES
            lines += [f"  … and {more} more, which --json has", ""] if more > 0 else [""]
    return "\n".join(lines) if lines else "Nothing is wrong.\n"


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings as JSON-serializable dicts with all places."""
    return [{**dataclasses.asdict(finding), "places": list(finding.places)} for finding in findings]
