"""Tables, ratios and JSON, on made-up sides."""

import json

import pytest


def test_table_lines_up_and_says_what_is_missing(benchmark_module):
    report = benchmark_module("measures.report")
    rows = [{"side": "ours", "ms": 1.234, "ratio": 0.5}, {"side": "a peer", "ms": 12.0, "ratio": None}]
    assert report.table(rows, (".1f", ".2f")).splitlines() == [
        "side      ms  ratio",
        "-------------------",
        "ours     1.2   0.50",
        "a peer  12.0      –",
    ]


def test_summary_is_the_median_and_the_spread(benchmark_module):
    summary = benchmark_module("measures.report").summary([3.0, 1.0, 10.0])
    assert summary == {"median": 3.0, "lowest": 1.0, "highest": 10.0, "rounds": 3}


def test_json_has_everything_that_was_said(benchmark_module, tmp_path, capsys):
    report = benchmark_module("measures.report").Report("A comparison", {"rounds": 2})
    report.say("ratio", 0.25, "ours takes a quarter")
    report.table("sides", [{"side": "ours", "share": float("nan")}], ".1f")
    report.write(tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert (figures["title"], figures["settings"], figures["ratio"]) == ("A comparison", {"rounds": 2}, 0.25)
    assert figures["sides"] == [{"side": "ours", "share": None}]
    assert figures["machine"]["cores"] >= 1 and figures["machine"]["memory"] > 1e8
    assert "ours takes a quarter" in capsys.readouterr().out


def test_growth_per_doubling(benchmark_module):
    """Time in proportion to the pixels, memory to their square root."""

    def measure(count, short):
        pixels = count * short**2
        return {"median": 1e-9 * pixels}, {"peak": 100 * pixels**0.5, "empty": 0}

    rows = benchmark_module("measures.scaling").table(measure, (300, 600, 1000))
    assert [(row["images"], row["short side"]) for row in rows] == [
        *((1, 600), (2, 600), (4, 600), (8, 600)),
        *((1, 300), (1, 600), (1, 1000)),
    ]
    for row in rows[1:4] + rows[5:]:
        assert row["× time"] == pytest.approx(2.0)
        assert row["× memory"] == pytest.approx(2**0.5)
    assert rows[0]["× time"] is rows[4]["× time"] is None
