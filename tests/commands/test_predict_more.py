"""`predict` on patterns, lists, videos, odd pictures; and what it writes for other tools."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

import keras_frcnn as kf
from keras_frcnn.commands import drawn_detections, predict
from keras_frcnn.commands.detection_files import DetectionFiles
from keras_frcnn.commands.video import VideoFile
from keras_frcnn.data.readers import voc_xml
from keras_frcnn.data.records import BoxCheck


@pytest.fixture
def run(trained, tmp_path):
    """The command with the model that all tests share, writing to `out`."""

    def words(*given):
        return predict.main(
            ["--model", str(trained.folder / "last.keras"), *map(str, given), "--output", str(out)]
        )

    out = words.out = tmp_path / "out"
    return words


@pytest.fixture
def scenes(voc, tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number:03d}.jpg").write_bytes((voc / f"JPEGImages/val{number}.jpg").read_bytes())
    return folder


def video(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (80, 64))
    for number in range(frames):
        frame = np.full([64, 80, 3], 90, np.uint8)
        frame[10:40, number % 40 : number % 40 + 30] = 220
        writer.write(frame)
    writer.release()
    return path


def test_patterns_and_lists(run, scenes, monkeypatch):
    names = [answer["image"] for answer in run(f"{scenes}/*.jpg")["images"]]
    assert names == [f"{scenes}/{number:03d}.jpg" for number in range(3)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*names[:2], "", names[0]])))
    assert [answer["image"] for answer in run("-")["images"]] == names[:2]


def test_a_pattern_that_matches_nothing(run, scenes, capsys):
    with pytest.raises(SystemExit):
        run(f"{scenes}/*.nothing")
    assert "No image matches" in capsys.readouterr().err


def test_folders_without_pictures_among_those_that_a_pattern_matches(run, scenes, capsys):
    (scenes / "notes").mkdir()
    assert len(run(f"{scenes}/*")["images"]) == 3
    assert f"folders without pictures: 1, {scenes}/notes." in capsys.readouterr().out


def test_a_list_as_an_editor_saves_it(run, scenes, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\ufeff\"{scenes}/000.jpg\"\r\n'{scenes}/001.jpg'\n"))
    assert len(run("-")["images"]) == 2


def test_names_that_would_change_a_terminal_are_shown_escaped(run, scenes, capsys):
    (scenes / "000.jpg").rename(scenes / "a\x1b[2J.jpg")
    (scenes / "b\x1b[2J.jpg").write_bytes(b"no picture")
    (scenes / "c\x1b[2J.txt").write_text("no picture either")
    with pytest.raises(SystemExit):
        run(scenes)
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "a\\x1b[2J.jpg: " in printed.out and "c\\x1b[2J.txt" in printed.out
    assert "b\\x1b[2J.jpg cannot be decoded" in printed.err


def test_an_answer_below_the_threshold_is_told(run, scenes, capsys):
    run(scenes / "000.jpg", "--score-threshold", 0.999)
    assert re.search(
        r"000.jpg: nothing \(the best below the threshold: \w+ 0\.\d\d\)", capsys.readouterr().out
    )


def test_what_other_tools_read(run, scenes):
    formats = ("coco", "voc", "yolo", "csv", "crops")
    results = run(scenes, "--score-threshold", 0.05, "--write", *formats)
    names = results["class_names"]
    sure = [
        [found for found in answer["detections"] if found["score"] >= 0.05] for answer in results["images"]
    ]
    assert sum(map(len, sure)) > 3 and all(answer["drawn"] is None for answer in results["images"])
    coco = json.loads((run.out / "coco_results.json").read_text())
    assert len(coco) == sum(len(answer["detections"]) for answer in results["images"])
    first = results["images"][0]["detections"][0]
    assert coco[0]["image_id"] == 0 and coco[0]["category_id"] == first["label"] + 1
    np.testing.assert_allclose(coco[0]["bbox"][2], first["box"][2] - first["box"][0], atol=1e-4)
    with open(run.out / "detections.csv") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == sum(map(len, sure)) == len([*(run.out / "crops").rglob("*.png")])
    # The package's own readers take both, with the pictures, as data sets to correct.
    for folder, tolerance in (("voc", 1.0), ("yolo", 0.01)):
        dataset = kf.data.load(f"folder:{run.out}/{folder}")
        assert dataset.class_names == tuple(names)
        for record, expected in zip(dataset.records, sure, strict=True):
            boxes = np.array([found["box"] for found in expected]).reshape(-1, 4)
            np.testing.assert_allclose(record.boxes, boxes, atol=tolerance)
            assert record.labels.tolist() == [found["label"] for found in expected]


def test_turned_pictures_those_of_one_name_and_frames_have_annotations_of_their_own(run, scenes, tmp_path):
    image = Image.open(scenes / "000.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned right
    image.save(scenes / "turned.jpg", exif=exif)
    image.save(scenes / "000.bmp")
    clip = video(tmp_path / "clip.mp4", 2)
    run(scenes, clip, "--score-threshold", 0.05, "--write", "pictures", "voc", "yolo")
    for folder in ("voc", "yolo"):
        dataset = kf.data.load(f"folder:{run.out}/{folder}")
        names = [os.path.basename(record.file) for record in dataset.records]
        assert names == [
            *("000-2.jpg", "000.bmp", "001.jpg", "002.jpg"),
            *("clip-000000.jpg", "clip-000001.jpg", "turned.png"),
        ]
        turned = dataset.records[-1]
        assert (turned.height, turned.width) == image.size


def test_a_folder_or_pattern_without_pictures_is_left_out(run, scenes, capsys):
    (scenes / "empty").mkdir()
    with pytest.raises(SystemExit) as stop:
        run(scenes / "000.jpg", scenes / "empty", f"{scenes}/*.nothing")
    printed = capsys.readouterr()
    assert stop.value.code == 1 and "1 of 3 images was drawn" in printed.out
    assert "holds no image" in printed.err and "No image matches" in printed.err


def test_options_that_name_nothing(run, scenes, capsys):
    for words, part in (
        (("--write",), "--write names nothing"),
        (("--tiles", 9), "--tiles is 9; give tiles"),
    ):
        with pytest.raises(SystemExit):
            run(scenes, *words)
        assert part in capsys.readouterr().err


def test_a_video(run, tmp_path, capsys):
    clip = video(tmp_path / "clip.mp4", 100)
    results = run(clip, "--write", "pictures", "csv", "coco", "--json", tmp_path / "all.json")
    assert [answer["frame"] for answer in results["images"]] == [*range(100)]
    assert {answer["drawn"] for answer in results["images"]} == {str(run.out / "clip.mp4")}
    drawn = cv2.VideoCapture(str(run.out / "clip.mp4"))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 100 and drawn.get(cv2.CAP_PROP_FPS) == 10
    assert f"{clip}: 100 frames, " in capsys.readouterr().out
    assert results == json.loads((tmp_path / "all.json").read_text())
    written = json.loads((run.out / "coco_results.json").read_text())
    assert len(written) == sum(len(answer["detections"]) for answer in results["images"]) > 0
    # Without --json, nothing is kept in memory for it.
    assert run(clip)["images"] == []


FULL_DISK = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from keras_frcnn.commands.video import Frames, VideoFile

rng = np.random.default_rng(0)
noise = [rng.integers(0, 256, [240, 320, 3], np.uint8) for _ in range(30)]
video = VideoFile(Path("clip.mp4"), 25.0)
video.add(noise[0])
video.close()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
video = VideoFile(Path("clip.mp4"), 25.0)
for frame in noise:
    video.add(frame)
try:
    video.close()
except OSError as error:
    print(error)
print(Frames("clip.mp4").total)
"""


def test_a_video_on_a_full_disk_is_refused_and_the_old_one_stays(tmp_path):
    if sys.platform != "linux":
        pytest.skip("a limit of the size of files stands for a full disk")
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    sentence, frames = ran.stdout.strip().splitlines()
    assert sentence.startswith("clip.mp4 cannot be written (") and sentence.endswith("make room on the disk.")
    assert frames == "1" and [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_video_that_cannot_be_begun(tmp_path):
    written = VideoFile(tmp_path / "absent" / "clip.mp4", 25.0)
    with pytest.raises(OSError, match="name another folder with --output"):
        try:
            written.add(np.zeros([32, 32, 3], np.uint8))
        finally:
            written.close()


def test_classes_without_a_name_are_a_data_set_too(tmp_path):
    files = DetectionFiles(tmp_path, ("voc", "yolo"), 0.5)
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    found = {"box": [10.0, 5.0, 20.0, 20.0], "score": 0.9, "label": 3, "class": "cell"}
    for _ in range(2):  # of a second run, too
        files.add("a", str(tmp_path / "a.png"), np.zeros([40, 60, 3], np.uint8), [found])
    files.finish(["N/A", "dog", "N/A", "cell"])
    for folder in ("voc", "yolo"):
        dataset = kf.data.load(f"folder:{tmp_path}/{folder}")
        assert [dataset.class_names[label] for label in dataset.records[0].labels] == ["cell"]


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_pictures_in_the_folder_of_the_annotations_are_not_written_over(tmp_path, kind):
    files = [tmp_path / "x" / "a.jpg", tmp_path / "out" / kind / "a.jpg"]
    with pytest.raises(ValueError, match=f"would write into the folder of .*{kind}/a.jpg; name another"):
        drawn_detections.DrawnDetections(files, tmp_path / "out", 0.5, formats=(kind,))


def test_names_that_are_no_letters(run, scenes):
    name = os.fsdecode(b"caf\xe9.jpg")
    (scenes / "000.jpg").rename(scenes / name)
    run(scenes, "--write", "csv", "voc", "coco", "--score-threshold", 0.05)
    assert r"caf\udce9.jpg" in (run.out / "detections.csv").read_text("utf-8")
    assert r"<filename>caf\udce9.jpg" in (run.out / "voc" / name).with_suffix(".xml").read_text("utf-8")


def test_thousands_of_equal_names(tmp_path):
    """Trying all numbers for each of them would take hours."""
    files = [tmp_path / str(number) / "image.jpg" for number in range(20_000)]
    drawn = drawn_detections.DrawnDetections(
        [*files, tmp_path / "image-3.jpg"], tmp_path / "out", 0.5, videos=["a/image.mp4"]
    )
    names = [target.name for target in drawn._targets.values()]
    assert names[:3] == ["image.jpg", "image-2.jpg", "image-3.jpg"] and len({*names}) == 20_002


def test_a_video_that_is_interrupted_keeps_what_is_done(trained, run, tmp_path, monkeypatch):
    clip = video(tmp_path / "clip.mp4", 20)
    count = []

    def draw(image, *_):
        count.append(1)
        if len(count) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return image

    monkeypatch.setattr(drawn_detections.drawing, "draw", draw)
    # A shell that starts the tests in the background lets them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as stop:
            run(clip, "--json", tmp_path / "all.json")
    finally:
        signal.signal(signal.SIGINT, before)
    assert stop.value.code == 130
    frames = cv2.VideoCapture(str(run.out / "clip.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)
    assert 7 <= frames <= 8 and len(json.loads((tmp_path / "all.json").read_text())["images"]) >= 7
    assert [path.name for path in run.out.iterdir()] == ["clip.mp4"]


def test_odd_pictures_and_a_broken_one(run, scenes, capsys):
    image = Image.open(scenes / "000.jpg")
    Image.new("RGB", (1, 1), (9, 9, 9)).save(scenes / "tiny.png")
    Image.new("RGB", (8000, 5000), (90, 90, 90)).save(scenes / "large.jpg", quality=30)
    image.convert("L").save(scenes / "gray.png")
    image.convert("RGBA").save(scenes / "alpha.png")
    image.convert("CMYK").save(scenes / "cmyk.jpg")
    (scenes / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    (scenes / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(SystemExit) as stop:
        run(scenes, scenes / "broken.mp4", "--json", scenes / "all.json")
    printed = capsys.readouterr()
    assert stop.value.code == 1
    assert "broken.jpg cannot be decoded" in printed.err and "broken.mp4 cannot be opened" in printed.err
    assert "2 of 10 images and videos were skipped" in printed.err
    results = json.loads((scenes / "all.json").read_text())
    assert len(results["images"]) == 8 and len(results["skipped"]) == 2
    shapes = {
        answer["image"].rsplit("/")[-1]: (answer["height"], answer["width"]) for answer in results["images"]
    }
    assert shapes["large.jpg"] == (5000, 8000) and shapes["tiny.png"] == (1, 1)


def test_tiles(run, scenes):
    whole = run(scenes / "000.jpg")["images"][0]["detections"]
    tiled = run(scenes / "000.jpg", "--tiles", 64)["images"][0]["detections"]
    assert len(tiled) >= len(whole)


def test_a_server_takes_no_video(tmp_path, capsys):
    from keras_frcnn.commands import serve_client

    with pytest.raises(SystemExit):
        serve_client.main(["--url", "http://localhost:1/v1/models/a", str(video(tmp_path / "clip.mp4", 2))])
    assert "is a video, which no server takes" in capsys.readouterr().err


def test_pictures_of_one_stem_and_thin_boxes_keep_apart(tmp_path):
    files = DetectionFiles(tmp_path, DetectionFiles.FORMATS, 0.5)
    image = np.zeros([40, 60, 3], np.uint8)
    thin = {"box": [10.2, 5.0, 10.45, 20.0], "score": 0.9, "label": 0, "class": "a/b"}
    for name in ("7", "007", "b"):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        files.add(name, str(tmp_path / f"{name}.png"), image, [thin])
    files.add("clip-000003", "clip.mp4", image, [thin], 3)
    files.finish(["a/b"])
    ids = [found["image_id"] for found in json.loads((tmp_path / "coco_results.json").read_text())]
    assert ids == [7, "007", "b", "clip-000003"]
    rows = [*csv.DictReader(io.StringIO((tmp_path / "detections.csv").read_text()))]
    assert [row["frame"] for row in rows] == ["", "", "", "3"]
    for file in (tmp_path / "voc").glob("*.xml"):
        xml = voc_xml.read(file, BoxCheck("test"))
        assert xml.boxes[0][2] > xml.boxes[0][0]
    assert len([*(tmp_path / "crops" / "a_b").iterdir()]) == 4


def test_outputs_of_pictures_that_differ_in_their_ending_only(tmp_path):
    files = [tmp_path / name for name in ("a.jpg", "a.png", "A.JPG", "b.png")]
    targets = drawn_detections._targets(files, ["x/a.mp4"], tmp_path / "out")
    assert len({target.stem.casefold() for target in targets}) == 5


def test_a_list_may_hold_patterns(run, scenes, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{scenes}/*1.jpg\n-\n"))
    assert [answer["image"] for answer in run("-")["images"]] == [f"{scenes}/001.jpg"]


@pytest.mark.parametrize("served", [False, True], ids=["model", "export"])
def test_images_that_share_a_pass_get_the_same_answers(served, trained, run, scenes, tmp_path):
    """Images, frames and tiles; a small picture and a broken one among them."""
    cv2.imwrite(str(scenes / "001-small.png"), np.zeros([30, 40, 3], np.uint8))
    (scenes / "002-broken.jpg").write_bytes(b"no picture")
    clip = video(tmp_path / "clip.mp4", 5)
    model = trained.export if served else trained.folder / "last.keras"
    for further in ([], ["--tiles", "64"]):
        found = []
        for size in ("1", "4"):
            json_file = tmp_path / f"{size}.json"
            words = [scenes, clip, "--batch-size", size, "--json", json_file, "--model", model, *further]
            with pytest.raises(SystemExit):
                run(*words)
            found.append(json.loads(json_file.read_text()))
        one, four = found
        assert one["skipped"] == four["skipped"] and len(one["images"]) == 3 + 1 + 5
        for alone, shared in zip(one["images"], four["images"], strict=True):
            assert alone["image"] == shared["image"]
            for mine, other in zip(alone["detections"], shared["detections"], strict=True):
                assert mine["class"] == other["class"]
                np.testing.assert_allclose(mine["box"], other["box"], atol=0.05)
                np.testing.assert_allclose(mine["score"], other["score"], atol=1e-4)


def test_a_model_on_proposals_takes_one_image_at_a_time(scenes, tmp_path, capsys):
    kf.FastRCNN(("cell",), backbone="tiny_fpn", image_size=(64, 64)).save(tmp_path / "fast.keras")
    with pytest.raises(SystemExit):
        predict.main(["--model", str(tmp_path / "fast.keras"), str(scenes), "--batch-size", "2"])
    assert "one image at a time" in capsys.readouterr().err
