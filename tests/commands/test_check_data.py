"""`check-data`: the report, the JSON, the plot, the clean copy, the exit status; and what real sets have."""

import json
import re

import cv2

from keras_frcnn.commands import check_data


def run(capsys, *words):
    """The exit status and what was printed."""
    try:
        check_data.main([str(word) for word in words])
        status = 0
    except SystemExit as error:
        status = error.code
    return status, capsys.readouterr()


def test_a_clean_set(voc, tmp_path, capsys):
    plot = tmp_path / "plot.png"
    status, printed = run(capsys, f"voc:{voc}@train", "--image-size", 256, 320, "--plot", plot)
    assert status == 0 and "6 images" in printed.out and "Good to know" in printed.out
    assert cv2.imread(str(plot)).shape[0] > 500


def test_what_is_wrong_is_in_the_report_and_whole_in_the_json(voc, tmp_path, capsys):
    lines = (voc / "ImageSets/Main/train.txt").read_text() + "\n" + "\n".join(f"gone{n}" for n in range(5))
    (voc / "ImageSets/Main/more.txt").write_text(lines)
    words = (
        f"voc:{voc}@more",
        f"voc:{voc}@train",
        "--json",
        tmp_path / "check.json",
        "--image-size",
        256,
        320,
    )
    status, printed = run(capsys, *words)
    (voc / "ImageSets/Main/more.txt").unlink()
    assert status == 2
    assert "Training stops at these" in printed.out and "has no image gone0" in printed.out
    assert "6 pictures of voc:" in printed.out.partition("All sets together")[2]
    content = json.loads((tmp_path / "check.json").read_text())
    assert len([1 for finding in content["sets"][0]["findings"] if finding["severity"] == "error"]) == 5
    assert len(content["together"][0]["places"]) == 6


def test_a_plot_that_cannot_be_written_is_refused_before_the_work(voc, tmp_path, capsys):
    status, printed = run(capsys, f"voc:{voc}@train", "--plot", tmp_path / "plot.xyz")
    assert status == 1 and "plot.xyz is no image file" in printed.err and not printed.out


def test_a_clean_copy(voc, tmp_path, capsys):
    status, printed = run(capsys, f"voc:{voc}@train", "--fix", tmp_path / "copy", "--image-size", 256, 320)
    assert status == 0 and f"voc:{tmp_path}/copy@train" in printed.out
    assert run(capsys, f"voc:{tmp_path}/copy@train", "--image-size", 256, 320)[0] == 0
    status, printed = run(capsys, f"voc:{voc}@train", "--fix", tmp_path)
    assert status == 1 and "holds something already" in printed.err


def test_bad_words_are_refused_in_one_sentence(capsys):
    status, printed = run(capsys, "shapes@val", "--recipe", "nowhere")
    assert status == 1 and printed.err.count("\n") == 1
    status, printed = run(capsys, "nothing", "--image-size", 256, 320)
    assert status == 2 and "names no data set" in printed.out


def text(capsys, *specs):
    status, printed = run(capsys, *specs)
    assert printed.err == ""
    return status, printed.out


def test_bccd_has_two_boxes_without_area(shared, capsys):
    data = shared / "data"
    status, out = text(capsys, f"voc:{data}/bccd@train", f"voc:{data}/bccd@val", f"voc:{data}/bccd@test")
    assert status == 1
    found = re.findall(r"box without area .*", out)
    assert len(found) == 2 and "BloodImage_00343" in found[0] and "BloodImage_00338" in found[1]
    # One field of view was photographed twice: 37 in val, 38 in train.
    assert re.search(
        r"1 picture of .*val nearly like one of .*BloodImage_00037.jpg .*BloodImage_00038.jpg", out
    )
    assert out.count("look at these") == 3 and "Training stops" not in out and "not used" not in out


def test_raccoon_has_gray_pictures_and_copies_with_different_boxes(shared, capsys):
    data = shared / "data"
    status, out = text(capsys, f"voc:{data}/raccoon@train", f"voc:{data}/raccoon@test")
    assert status == 1 and "3 pictures without colors" in out
    assert "4 pictures equal to another with different objects" in out
    assert re.search(r"width of an image, pixels +178 +480 +2000", out)
    assert out.count("look at these") == 1 and "Training stops" not in out and "All sets" not in out


def test_the_samples_of_voc_and_coco_have_peculiarities_but_no_faults(shared, capsys):
    data = shared / "data"
    status, out = text(capsys, f"voc:{data}/voc2012_sample@val")
    assert status == 0 and "16 objects marked as crowd or difficult" in out
    coco = data / "tiny_coco"
    status, out = text(
        capsys,
        f"coco:{coco}/annotations/instances_train2017.json@{coco}/train2017",
        f"coco:{coco}/annotations/instances_val2017.json@{coco}/val2017",
    )
    assert status == 0 and out.count("5 objects marked as crowd") == 2
    assert "1 image without objects" in out and "2 images without objects" in out
