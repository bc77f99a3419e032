"""What a check returns."""

import dataclasses

# A finding at least this likely makes the slow checks needless.
DECISIVE = 0.7
# The likelihood of a finding that is no cause, and only counts where there is no other.
SYMPTOM = 0.1


@dataclasses.dataclass(frozen=True)
class Finding:
    """A possible cause of poor detections.

    Attributes:
        cause: a few words, such as "box format".
        likelihood: 0 to 1, to sort by: how surely detections are poor for this reason.
        sentence: what is wrong.
        figure: the measurement that shows it.
        command: what mends it.
    """

    cause: str
    likelihood: float
    sentence: str
    figure: str
    command: str


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a check.

    Attributes:
        figure: what was measured, also if nothing is wrong.
        findings: list of `Finding`.
    """

    figure: str
    findings: list[Finding] = dataclasses.field(default_factory=list)


class Skipped(Exception):
    """A check cannot be made; the message says why."""
