"""OpenCV wheels that lie over one another, or are broken, are named with the repair."""

import subprocess
import sys

import pytest

CODE = "import warnings\nwarnings.simplefilter('error')\nimport keras_frcnn.opencv"


@pytest.fixture
def imported(tmp_path):
    """What is said when the module is imported with a folder before the real packages."""

    def run():
        code = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{CODE}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        return done.stderr.splitlines()[-1]

    return run


def test_two_wheels(imported, tmp_path):
    info = tmp_path / "opencv_python-4.11.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.11\n")
    said = imported()
    assert "opencv-python and opencv-contrib-python-headless are installed over one another" in said
    assert said.endswith("; pip install opencv-contrib-python-headless")


@pytest.mark.parametrize("contents", [None, "raise ImportError('libGL.so.1 is missing')"])
def test_a_broken_one(contents, imported, tmp_path):
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(contents or "")
    said = imported()
    assert said.startswith("ImportError: OpenCV cannot be imported (") and "pip uninstall -y" in said
