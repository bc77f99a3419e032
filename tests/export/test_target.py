import pytest

from keras_frcnn.export.target import new_folder


def test_a_new_folder(tmp_path):
    assert new_folder(tmp_path / "1.2") == tmp_path / "1.2"
    with pytest.raises(FileExistsError, match="exists already"):
        new_folder(tmp_path)


@pytest.mark.parametrize(
    "name, part", [("m.onnx", 'with format="onnx"'), ("m.tflite", "litert"), ("m.keras", "model.save")]
)
def test_the_name_of_a_file(tmp_path, name, part):
    with pytest.raises(ValueError, match=f"has the name of a file.*{part}"):
        new_folder(tmp_path / name)
