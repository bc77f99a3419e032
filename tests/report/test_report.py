import csv
import dataclasses
import html
import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from keras_frcnn import evaluation
from keras_frcnn.evaluation import bootstrap, matches, per_image
from keras_frcnn.evaluation.analysis import analyze
from keras_frcnn.report import plots
from keras_frcnn.report.gallery import PER_KIND, choose
from keras_frcnn.report.numbers import Numbers

NAMES = ("cat", "$dog_1$", "<script>alert('x')</script>")
VOID = {"meta", "link", "img", "br", "input"}


class Page(html.parser.HTMLParser):
    """Checks that every element is closed in order, and collects numbers, texts and addresses."""

    def __init__(self, text):
        super().__init__()
        self.open, self.numbers, self.addresses, self.tags, self.texts = [], {}, [], [], []
        self._path = None
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        attrs = dict(attrs)
        self.tags.append(tag)
        self.addresses += [attrs[name] for name in ("src", "href") if name in attrs]
        assert not [name for name in attrs if name.startswith("on")]
        if tag == "data":
            self._path = tuple(json.loads(attrs["data-path"])), attrs["value"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "data":
            self._path = None

    def handle_data(self, text):
        if self._path:
            self.numbers[self._path[0]] = self._path[1], text
        self.texts.append(text)


@pytest.fixture(scope="module")
def written(made_up, reported, tmp_path_factory):
    """Two reports on one set, the second compared with the first: folder, dict and page of the second."""
    folder = tmp_path_factory.mktemp("report")
    records, others = made_up(NAMES)
    _, detections = made_up(NAMES, seed=0)
    for found in detections:
        found["scores"] = found["scores"] ** 2
        found["boxes"] = found["boxes"][1:]
        found["labels"], found["scores"] = found["labels"][1:], found["scores"][1:]
    reported(folder / "other", records, others, NAMES)
    other = json.loads((folder / "other" / "report.json").read_text())
    proposals = evaluation.proposal_recall.recall_curve([record.boxes for record in records], records)
    report = reported(
        folder / "this",
        records,
        detections,
        NAMES,
        other=other,
        proposals=proposals,
        warnings=["Note: <u>look</u>."],
    )
    page = Page((folder / "this" / "report.html").read_text())
    return folder / "this", report, page, (records, detections)


def test_every_number_of_the_page_is_one_of_the_json(written):
    folder, report, page, _ = written
    stored = json.loads((folder / "report.json").read_text())
    assert stored == json.loads(json.dumps(report))
    assert len(page.numbers) > 200
    for path, (value, text) in page.numbers.items():
        there = stored
        for step in path:
            there = there[step]
        assert value == ("" if there is None else json.dumps(there)), path
        if there is None:
            assert text == "–"
            continue
        shown = float(text.removesuffix(" s").replace(",", ""))
        scale = 1 if " s" in text or isinstance(there, int) or abs(shown - there) < 0.006 else 100
        assert shown == pytest.approx(scale * there, abs=0.051), path


def test_the_page_holds_every_headline_number(written):
    _, report, page, (records, detections) = written
    results = evaluation.score(detections, records, NAMES)
    for name, value in results.items():
        if name.startswith(("voc", "coco", "images")):
            assert report[name] == value and (name,) in page.numbers
    for name in NAMES:
        for key in ("ground_truths", "coco_ap", "coco_ap50", "coco_ap75", "voc_ap50", "voc07_ap50"):
            assert report["per_class"][name][key] == results["per_class"][name][key]
            assert ("per_class", name, key) in page.numbers
    for kind in report["errors"]["gains"]:
        assert {("errors", part, kind) for part in ("gains", "counts", "counts_at_threshold")} <= set(
            page.numbers
        )
    for part in ("operating_point", "intervals", "groups", "calibration", "proposals", "speed", "comparison"):
        assert any(path[0] == part for path in page.numbers)
    assert report["errors"]["ap50"] == pytest.approx(results["coco_ap50"])
    assert report["comparison"]["numbers"]["coco_ap50"]["this"] == pytest.approx(results["coco_ap50"])


def test_the_page_is_whole_and_harmless(written):
    folder, _, page, _ = written
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    text = (folder / "report.html").read_text()
    assert not re.search(r"https?:|@import|url\(", text)
    # One script is the page's own; names of classes and files appear as text only.
    assert page.tags.count("script") == 1 and "b" in page.tags
    assert not {"i", "u"} & set(page.tags)
    assert "<i>a model</i> on a set" in page.texts and "Note: <u>look</u>." in page.texts
    assert any("<script>alert('x')</script>" in part for part in page.texts)


def test_plots_and_tables_lie_beside_the_page(written):
    folder, report, page, (records, _) = written
    plots = sorted(path.name for path in folder.glob("*.png"))
    assert plots == sorted(
        f"{name}.png"
        for name in (
            *("precision_recall", "scores", "f1_per_class", "errors", "groups", "calibration"),
            *("proposals", "comparison", "confusion"),
        )
    )
    rows = {
        name: list(csv.DictReader((folder / f"{name}.csv").open()))
        for name in ("classes", "errors", "images")
    }
    assert [row["class"] for row in rows["classes"]] == list(NAMES)
    assert float(rows["classes"][0]["coco_ap50"]) == report["per_class"]["cat"]["coco_ap50"]
    assert [row["image"] for row in rows["images"]] == [record.image_id for record in records]
    point = report["operating_point"]
    for name in ("true_positives", "false_positives", "missed"):
        assert sum(int(row[name]) for row in rows["images"]) == point[name]
    assert len(rows["errors"]) == sum(report["errors"]["counts_at_threshold"].values())
    assert page.tags.count("figure") == len(report["gallery"]) + len(report["comparison"]["images"])


def test_a_model_compared_with_itself_differs_nowhere(made_up, reported, tmp_path):
    records, detections = made_up(("cat",), seed=1)
    first = reported(tmp_path, records, detections, ("cat",))
    again = reported(tmp_path, records[::-1], detections[::-1], ("cat",), other=json.loads(json.dumps(first)))
    for row in again["comparison"]["numbers"].values():
        assert row["difference"] == 0 and row["interval"] == [0, 0]
    assert again["comparison"]["images"] == []


@pytest.mark.parametrize("classes", [1, 80])
def test_a_detector_that_finds_nothing(made_up, reported, tmp_path, classes):
    names = tuple(f"class {index}" for index in range(classes))
    records, detections = made_up(names, images=6, seed=2)
    nothing = {"boxes": np.zeros([0, 4]), "scores": np.zeros(0), "labels": np.zeros(0, int)}
    report = reported(tmp_path, records, [nothing] * len(detections), names)
    Page((tmp_path / "report.html").read_text())
    assert report["operating_point"]["threshold"] == 0.5 and report["operating_point"]["precision"] is None
    assert report["errors"]["gains"]["missed"] == 1.0
    assert {one["kind"] for one in report["gallery"]} == {"missed"}


def test_eighty_classes_most_of_them_without_objects(made_up, reported, tmp_path):
    names = tuple(f"class {index}" for index in range(80))
    records, detections = made_up(names, seed=3)
    report = reported(tmp_path, records, detections, names)
    page = Page((tmp_path / "report.html").read_text())
    assert len(report["confusion"]["matrix"]) == 81
    absent = [name for name, row in report["per_class"].items() if not row["ground_truths"]]
    assert absent and page.numbers["per_class", absent[0], "coco_ap50"] == ("", "–")


def test_a_set_without_objects(made_up, reported, tmp_path):
    records, detections = made_up(("cat",), images=3)
    empty = {"boxes": np.zeros([0, 4], np.float32), "labels": np.zeros(0, np.int32)}
    empty |= {"ignore": np.zeros(0, bool), "area": np.zeros(0, np.float32)}
    records = [dataclasses.replace(record, **empty) for record in records]
    report = reported(tmp_path, records, detections, ("cat",))
    Page((tmp_path / "report.html").read_text())
    assert report["coco_ap"] is None and report["errors"]["gains"]["missed"] is None


def only(box, label=0, score=0.5, **more):
    """Detections of one box."""
    found = np.array([box], np.float32), np.array([score], np.float32), np.array([label])
    return dict(zip(("boxes", "scores", "labels"), found), **more)


def test_a_detector_that_finds_nothing_right_is_sent_to_the_doctor(made_up, reported, tmp_path):
    records, _ = made_up(("cat",), images=6, seed=2)
    wrong = [only([0, 0, 3, 3])] * len(records)
    report = reported(tmp_path, records, wrong, ("cat",))
    # Mending one kind of error alone gains nothing here.
    assert not any(report["errors"]["gains"].values())
    assert "<code>python -m keras_frcnn doctor</code>" in (tmp_path / "report.html").read_text()


def test_names_that_are_no_letters_and_an_earlier_report(made_up, reported, tmp_path):
    records, detections = made_up(("_cat",), seed=1)
    first = json.loads(json.dumps(reported(tmp_path, records, detections, ("_cat",))))
    reported(tmp_path, records, detections, ("_cat",), other=first)
    assert (tmp_path / "comparison.png").exists()
    records = [dataclasses.replace(one, file="caf\udce9.jpg") for one in records]
    reported(tmp_path, records, detections, ("_cat",))
    assert r"caf\udce9.jpg" in (tmp_path / "report.html").read_text("utf-8")
    assert not (tmp_path / "comparison.png").exists()


def test_a_class_that_begins_with_an_underscore_is_in_the_legend(made_up):
    from matplotlib.figure import Figure

    records, detections = made_up(("_cat", "dog"), seed=1)
    matched = matches.match(detections, records, ("_cat", "dog"))
    figure = Figure()
    plots.f1_per_class(figure, analyze(matched))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["\u200b_cat", "dog"]


def test_classes_of_one_name_are_told_apart(made_up, reported, tmp_path):
    names = ("N/A", "cat", "N/A", "dog")
    records, detections = made_up(names, seed=1)
    report = json.loads(json.dumps(reported(tmp_path, records, detections, names)))
    for given, read in zip(detections, per_image.from_json(report, records, names), strict=True):
        np.testing.assert_array_equal(read["labels"], given["labels"])


@pytest.mark.parametrize("value, text", [(0.99660, "0.9966"), (0.84719, "0.8471"), (0.5, "0.5"), (1.0, "1")])
def test_a_threshold_is_not_rounded_up(value, text):
    assert f">{text}<" in Numbers({"threshold": value}).threshold("threshold")


def test_differences_of_nothing_have_no_sign_of_minus():
    assert ">+0.0<" in Numbers({"a": -0.0002}).points("a") and ">-0.1<" in Numbers({"a": -0.0008}).points("a")


def test_f1_of_samples_without_objects_is_not_defined(made_up):
    (record,), _ = made_up(("cat",), images=1, seed=2)
    assert len(record.boxes)
    empty = {"boxes": np.zeros([0, 4], np.float32), "labels": np.zeros(0, np.int32)}
    empty |= {"ignore": np.zeros(0, bool), "area": np.zeros(0, np.float32)}
    bare = dataclasses.replace(record, image_id=2, **empty)
    matched = matches.match([only(record.boxes[0]), only([0, 0, 9, 9])], [record, bare], ["cat"])
    numbers = bootstrap.resampled_numbers(matched, 0.3, np.array([[2, 0], [1, 1], [0, 2]]))
    assert np.isnan(numbers["f1"]).tolist() == np.isnan(numbers["recall"]).tolist() == [False, False, True]


def test_the_gallery_is_bounded_and_gives_classes_their_turns():
    errors = [{"kind": "missed", "class": "cat"}] * 100 + [{"kind": "missed", "class": "dog"}] * 3
    chosen = choose(errors)
    assert len(chosen) == PER_KIND and sum(one["class"] == "dog" for one in chosen) == 3


def test_another_set_is_refused(made_up, reported, tmp_path):
    records, detections = made_up(("cat",), seed=1)
    other = reported(tmp_path, records, detections, ("cat",))
    with pytest.raises(ValueError, match="other images"):
        reported(tmp_path, records[1:], detections[1:], ("cat",), other=other)
    records, detections = made_up(("dog",), seed=1)
    with pytest.raises(ValueError, match="other classes"):
        reported(tmp_path, records, detections, ("dog",), other=other)


DRIVER = r"""
<script>
const set = (name, value) => {
  const field = document.getElementById("filter-" + name);
  field.value = value;
  field.dispatchEvent(new Event("input"));
};
const cards = () => [...document.querySelectorAll("#errors figure:not([hidden])")];
const shown = () => cards().map((card) => card.dataset.place);
const steps = [shown()];
for (const [name, value] of [["kind", "background"], ["low", "0.5"], ["kind", ""], ["low", "0"],
    ["class", "cat"], ["class", ""], ["order", "low"], ["order", "iou"], ["high", ""]]) {
  set(name, value);
  steps.push(shown());
}
set("order", "given");
set("kind", "missed");
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img"), caption = dialog.querySelector("p");
const opened = () => cards().findIndex((card) => card.querySelector("img").src === large.src);
const pressed = (key, at) => at.dispatchEvent(new KeyboardEvent("keydown", { key: key, bubbles: true }));
const enlarged = [];
const note = () => enlarged.push([dialog.open, opened(), caption.textContent.trim().split(/\s+/)[0]]);
cards()[0].querySelector("img").click();
note();
pressed("ArrowRight", dialog);
note();
dialog.querySelector("[data-step='-1']").click();
note();
dialog.querySelector("button").click();
note();
pressed("Enter", cards()[1].querySelector("img"));
note();
document.body.innerHTML = "";
document.body.setAttribute("data-steps", JSON.stringify(steps));
document.body.setAttribute("data-enlarged", JSON.stringify(enlarged));
</script></body>
"""


def test_filters_and_pictures_work_in_a_browser(written, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("there is no Chromium here")
    folder, report, _, _ = written
    page = tmp_path / "driven.html"
    page.write_text((folder / "report.html").read_text().replace("</body>", DRIVER))
    words = "--headless --no-sandbox --disable-gpu --virtual-time-budget=2000 --dump-dom".split()
    output = subprocess.run(
        [browser, *words, page.as_uri()], capture_output=True, text=True, timeout=120
    ).stdout
    dumped = re.search(r'data-steps="([^"]*)"', output)
    assert dumped, output[:500]
    steps = [[int(place) for place in step] for step in json.loads(html.unescape(dumped.group(1)))]
    enlarged = re.search(r'data-enlarged="([^"]*)"', output)
    # Click, right arrow, "previous", "close", Enter on the second picture.
    assert enlarged and json.loads(html.unescape(enlarged.group(1))) == [
        [True, 0, "missed"],
        [True, 1, "missed"],
        [True, 0, "missed"],
        [False, 0, "missed"],
        [True, 1, "missed"],
    ]
    cards = report["gallery"]

    def places(test):
        return [place for place, one in enumerate(cards) if test(one)]

    def score(one):
        return -1 if one["score"] is None else one["score"]

    assert steps[0] == places(lambda one: True)
    assert steps[1] == places(lambda one: one["kind"] == "background")
    assert steps[2] == places(lambda one: one["kind"] == "background" and one["score"] >= 0.5)
    assert steps[3] == places(lambda one: score(one) >= 0.5)
    assert steps[4] == steps[6] == steps[0]
    assert steps[5] == places(lambda one: "cat" in (one["class"], one["true_class"]))
    assert [score(cards[place]) for place in steps[7]] == sorted(map(score, cards))
    assert sorted(steps[9]) == steps[0]
    assert [cards[place]["iou"] for place in steps[8]] == sorted((one["iou"] for one in cards), reverse=True)
