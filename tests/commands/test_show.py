import numpy as np
import pytest

from keras_frcnn import images as image_ops
from keras_frcnn.commands import show


def run(*words):
    return show.main([str(word) for word in words])


def test_draws_an_image_of_a_set(trained, tmp_path, capsys):
    model, data = trained.folder / "last.keras", f"voc:{trained.voc}@val"
    drawn = []
    for image in ("val1", "val1.jpg", "1"):
        output = tmp_path / "figures" / f"{image}.png"
        assert (
            run("targets", "--model", model, "--data", data, "--image", image, "--output", output) == output
        )
        drawn.append(image_ops.read(output))
    assert f"The figure is in {output}" in capsys.readouterr().out
    assert drawn[0].std() > 10
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])


def test_draws_an_image_file(trained, tmp_path):
    image = trained.voc / "JPEGImages/val0.jpg"
    words = "--model", trained.folder / "last.keras", "--image", image, "--top", 3
    run("proposals", *words, "--output", tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().count("<svg") == 1


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"--image": "val9"}, "has no image val9; name a file of it, or a number from 0 to 3."),
        ({"--output": "figure.txt"}, "--output figure.txt is no picture; end its name in .png, "),
        ({"--top": "0"}, "--top is 0; give at least 1."),
        ({"--model": "EXPORT"}, "is an export, which hides its parts; give the .keras file."),
    ],
)
def test_refuses_in_one_sentence(change, sentence, trained, capsys):
    words = {
        "--model": trained.folder / "last.keras",
        "--data": f"voc:{trained.voc}@val",
        "--image": "val0",
        "--output": "figure.png",
        **change,
    }
    if words["--model"] == "EXPORT":
        words["--model"] = trained.export
    with pytest.raises(SystemExit) as stop:
        run("anchors", *(part for pair in words.items() for part in pair))
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1
