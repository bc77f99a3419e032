import json

import numpy as np
import pytest

from keras_frcnn import images as image_ops
from keras_frcnn.commands import predict


@pytest.fixture
def pictures(voc, tmp_path):
    """A folder of three images, one of them cut short, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.jpg", "b.JPG", "c.jpg"):
        (folder / name).write_bytes((voc / "JPEGImages/val0.jpg").read_bytes())
    (folder / "c.jpg").write_bytes((folder / "a.jpg").read_bytes()[:500])
    (folder / "notes.txt").write_text("not an image")
    return folder


def run(*words):
    return predict.main([str(word) for word in words])


def test_draws_counts_and_lists(trained, pictures, tmp_path, capsys):
    output, file = tmp_path / "new" / "drawn", tmp_path / "found" / "all.json"
    words = "--output", output, "--json", file, "--score-threshold", 0
    results = run("--model", trained.export, pictures / "a.jpg", pictures / "b.JPG", *words)
    assert json.loads(file.read_text()) == results
    assert sorted(path.name for path in output.iterdir()) == ["a.jpg", "b.JPG"]
    for answer in results["images"]:
        assert (answer["height"], answer["width"]) == image_ops.read(answer["drawn"]).shape[:2] == (64, 80)
        for detection in answer["detections"]:
            assert detection["class"] == results["class_names"][detection["label"]]
            assert 0 <= detection["box"][0] < detection["box"][2] <= 80
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{pictures / 'a.jpg'}: ") and lines[1].startswith(f"{pictures / 'b.JPG'}: ")
    counted = sum(int(part.split()[0]) for part in lines[0].split(": ")[1].split(", "))
    assert counted == len(results["images"][0]["detections"]) > 0
    assert lines[2] == f"2 of 2 images were drawn into {output}"


def test_a_model_and_its_export_answer_alike(trained, voc, tmp_path):
    answers = []
    for model in (trained.folder / "last.keras", trained.export):
        (answer,) = run("--model", model, voc / "JPEGImages/val0.jpg", "--output", tmp_path)["images"]
        answers.append(answer["detections"])
    boxes, scores = (
        [np.array([detection[key] for detection in found]) for found in answers] for key in ("box", "score")
    )
    np.testing.assert_allclose(boxes[0], boxes[1], atol=0.05)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)


def test_names_a_broken_image_and_goes_on(trained, pictures, tmp_path, capsys):
    file = tmp_path / "all.json"
    with pytest.raises(SystemExit) as stop:
        run(
            "--model",
            trained.export,
            pictures,
            pictures / "absent.png",
            "--output",
            tmp_path / "out",
            "--json",
            file,
        )
    assert stop.value.code == 1
    captured = capsys.readouterr()
    sentences = captured.err.strip().splitlines()
    assert (
        "c.jpg" in sentences[0] and "absent.png" in sentences[1] and sentences[2].startswith("2 of 4 images")
    )
    assert "because of their endings: 1, notes.txt." in captured.out
    results = json.loads(file.read_text())
    assert [answer["image"] for answer in results["images"]] == [
        str(pictures / name) for name in ("a.jpg", "b.JPG")
    ]
    assert [entry["image"] for entry in results["skipped"]] == [
        str(pictures / name) for name in ("c.jpg", "absent.png")
    ]


def test_counts_one_image_as_one(trained, pictures, tmp_path, capsys):
    words = "--model", trained.export, "--output", tmp_path / "out"
    run(*words, pictures / "a.jpg")
    assert capsys.readouterr().out.splitlines()[-1] == f"1 of 1 image was drawn into {tmp_path / 'out'}"
    with pytest.raises(SystemExit):
        run(*words, tmp_path / "absent.jpg")
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "1 of 1 image was skipped, for the reason above."
    assert not captured.out


def test_equal_names_do_not_meet(trained, voc, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes((voc / "JPEGImages/val0.jpg").read_bytes())
    output = tmp_path / "out"
    results = run("--model", trained.export, tmp_path / "one", tmp_path / "two", "--output", output)
    assert [answer["drawn"] for answer in results["images"]] == [
        str(output / "a.jpg"),
        str(output / "a-2.jpg"),
    ]


@pytest.mark.parametrize(
    "words, part",
    [
        (["a.jpg", "--output", "."], "--output"),
        (["a.jpg", "--score-threshold", "50"], "between 0 and 1"),
        (["empty"], "holds no image"),
        ([], "No image"),
    ],
)
def test_refuses(words, part, pictures, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    (pictures / "empty").mkdir()
    before = (pictures / "a.jpg").read_bytes()
    with pytest.raises(SystemExit) as stop:
        run("--model", "absent.keras", *words)
    assert stop.value.code == 1
    assert part in capsys.readouterr().err
    assert (pictures / "a.jpg").read_bytes() == before
