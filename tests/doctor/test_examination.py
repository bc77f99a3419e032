import pytest

from keras_frcnn.doctor import Finding, as_json, as_line, as_text, by_likelihood, examine
from keras_frcnn.doctor.examination import Check
from keras_frcnn.doctor.findings import SYMPTOM, Result, Skipped


def finding(sentence, likelihood):
    return Finding("cause", likelihood, sentence, "1 of 2", "do it")


def fine(case):
    return Result("all is well")


def skips(case):
    raise Skipped("there is no time")


def refuses(case):
    raise ValueError("Mend it.")


def outcomes(case, *checks):
    return [*examine(case, lambda error: str(error) if isinstance(error, ValueError) else None, checks)]


def test_checks_are_skipped_without_their_inputs(case):
    first, second = outcomes(case(), Check("labels", fine, ("model",)), Check("time", skips))
    assert first.skipped and first.figure == "there is no trained model"
    assert second.skipped and second.figure == "there is no time"


def test_slow_checks_are_left_out_once_the_cause_is_known(case):
    sure = Check("sure", lambda case: Result("", [finding("It is.", 0.9)]))
    unsure = Check("unsure", lambda case: Result("", [finding("It may be.", 0.4)]))
    slow = Check("slow", fine, slow=True)
    assert outcomes(case(), sure, slow)[1].skipped
    assert not outcomes(case(), unsure, slow)[1].skipped


def test_a_refusal_is_a_cause_and_a_bug_is_raised(case):
    (outcome,) = outcomes(case(), Check("set", refuses))
    assert outcome.findings[0].sentence == "Mend it."
    with pytest.raises(ZeroDivisionError):
        outcomes(case(), Check("bug", lambda case: Result(str(1 / 0))))


def test_what_is_not_tested_names_the_refusal(case):
    refusal = Finding("data", 1.0, "The set is broken.", "the data cannot be read", "mend it")
    refused = case(train=None, val=None, refusals=[refusal])
    lines = [as_line(outcome) for outcome in examine(refused, str)]
    assert not [line for line in lines if "fine" in line]
    for name in ("objects", "spelling", "box format", "splits", "anchors", "score threshold"):
        (line,) = [line for line in lines if line.startswith(name)]
        assert line.split(maxsplit=len(name.split()))[-1] == "not tested the data cannot be read"


def test_a_symptom_counts_where_there_is_no_cause(case):
    symptom = Check("a", lambda case: Result("x", [finding("It finds little.", SYMPTOM)]))
    alone = outcomes(case(), symptom)
    findings = by_likelihood([], alone)
    assert as_text(findings, alone).startswith("No cause found, but it is not well:\n1. It finds little.")
    both = outcomes(case(), symptom, Check("b", lambda case: Result("y", [finding("Mend it.", 0.3)])))
    assert [one.sentence for one in by_likelihood([], both)] == ["Mend it."]


def test_the_likeliest_comes_first(case):
    made = outcomes(
        case(),
        Check("a", lambda case: Result("x", [finding("Less.", 0.4)])),
        Check("b", lambda case: Result("y", [finding("More.", 0.8), finding("Less.", 0.4)])),
    )
    findings = by_likelihood([], made)
    assert [one.sentence for one in findings] == ["More.", "Less."]
    text = as_text(findings, made)
    assert text.splitlines()[1:4] == ["1. More.", "   Figure: 1 of 2.", "   Mend it: do it"]
    assert as_json(findings, made)["findings"][0]["likelihood"] == 0.8
    assert as_line(made[0]).split()[:2] == ["a", "CAUSE"]


def test_nothing_found_says_what_was_checked(case):
    made = outcomes(case(), Check("anchors", fine), Check("time", skips))
    assert as_text(by_likelihood([], made), made) == "Nothing found. Checked: anchors."
