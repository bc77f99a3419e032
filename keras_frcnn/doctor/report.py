"""The findings as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from keras_frcnn.doctor.examination import Outcome
from keras_frcnn.doctor.findings import SYMPTOM, Finding


def by_likelihood(refusals: Sequence[Finding], outcomes: Sequence[Outcome]) -> list[Finding]:
    """All findings, the likeliest first; equally likely ones in the order of the checks.

    What is only a symptom is left out where there is a cause.
    """
    every = [*refusals, *(finding for outcome in outcomes for finding in outcome.findings)]
    once = {finding.sentence: finding for finding in reversed(every)}
    ordered = sorted(reversed(once.values()), key=lambda finding: -finding.likelihood)
    return [finding for finding in ordered if finding.likelihood > SYMPTOM] or ordered


def as_line(outcome: Outcome) -> str:
    """One line about a check."""
    mark = "not tested" if outcome.skipped else "CAUSE" if outcome.findings else "fine"
    return f"{outcome.name:18} {mark:10} {outcome.figure}"


def as_text(findings: Sequence[Finding], outcomes: Sequence[Outcome]) -> str:
    """The conclusion in plain sentences.

    Args:
        findings: from `by_likelihood`.
        outcomes: of all checks.

    Returns:
        str of several lines.

    Example:
        >>> as_text([], [Outcome("anchors", "all objects have one", [])])
        'Nothing found. Checked: anchors.'
    """
    if not findings:
        checked = ", ".join(outcome.name for outcome in outcomes if not outcome.skipped)
        return f"Nothing found. Checked: {checked}."
    lines = ["The likeliest cause first:" if len(findings) > 1 else "The cause:"]
    if findings[0].likelihood <= SYMPTOM:
        lines = ["No cause found, but it is not well:"]
    for number, finding in enumerate(findings, start=1):
        lines += [
            f"{number}. {finding.sentence}",
            f"   Figure: {finding.figure}.",
            f"   Mend it: {finding.command}",
        ]
    return "\n".join(lines)


def as_json(findings: Sequence[Finding], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The conclusion as a JSON-serializable dict.

    Args:
        findings, outcomes: see `as_text`.

    Returns:
        dict of "findings", a list of dicts "cause", "likelihood" (0 to 1), "sentence", "figure" and
        "command", the likeliest first; and "checks", a list of dicts "name", "skipped" and "figure".
    """
    return {
        "findings": [vars(finding) for finding in findings],
        "checks": [
            {"name": outcome.name, "skipped": outcome.skipped, "figure": outcome.figure}
            for outcome in outcomes
        ],
    }
