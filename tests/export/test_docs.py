"""The snippets of docs/serving.md run as they stand there, but for the port."""

import pathlib
import re
import shutil
import subprocess
import urllib.parse

import pytest
import tensorflow as tf

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.fixture
def snippets(server, image_of, tmp_path, monkeypatch):
    """A function from a language to its blocks; two photographs lie in the current folder."""
    (tmp_path / "photo.jpg").write_bytes(tf.io.encode_jpeg(image_of(90, 130)).numpy())
    (tmp_path / "photo.png").write_bytes(tf.io.encode_png(image_of(60, 50)).numpy())
    monkeypatch.chdir(tmp_path)
    text = DOCUMENT.read_text("utf-8")
    for url, port in ((server.rest, 8501), (server.grpc, 8500)):
        text = text.replace(f"localhost:{port}", urllib.parse.urlsplit(url).netloc)
    return lambda language: re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_python(snippets, exported_cells, capsys):
    alone, over_rest, over_grpc = snippets("python")
    names = {}
    exec(compile(alone.replace("saved_models/cells/1", str(exported_cells.path)), "alone", "exec"), names)
    assert names["answer"]["image_ok"].numpy().tolist() == [1.0]
    exec(compile(over_rest, "over REST", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
    exec(compile(over_grpc, "over gRPC", "exec"), {})
    assert re.match(r"\[[01]\.", capsys.readouterr().out)


def test_curl(snippets):
    if not (shutil.which("curl") and shutil.which("base64")):
        pytest.skip("curl or base64 is not installed")
    (snippet,) = (block for block in snippets("bash") if "curl" in block)
    done = subprocess.run(["bash", "-euc", snippet], check=True, capture_output=True, text=True)
    assert '"image_ok": 1.0' in done.stdout
