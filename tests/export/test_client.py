"""The client against the stand-in: what it finds, and the sentence for everything that may go wrong."""

import contextlib
import http.server
import json
import socket
import threading
import time

import numpy as np
import pytest

from keras_frcnn.commands import serve_client
from keras_frcnn.export import transports
from keras_frcnn.export.client import ServingClient

WAYS = pytest.mark.parametrize("way", ["rest", "grpc"])
IMAGE = {"image_bytes": np.array([b"x"], object)}


@pytest.fixture
def folder(tmp_path, image_of):
    """Three image files, the second cut short."""
    import tensorflow as tf

    for name, size in (("a.png", (90, 130)), ("b.png", (64, 64)), ("c.png", (50, 70))):
        (tmp_path / name).write_bytes(tf.io.encode_png(image_of(*size)).numpy())
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:80])
    return tmp_path


def run(*words):
    return serve_client.main([str(word) for word in words])


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == 1
    return capsys.readouterr()


@WAYS
@pytest.mark.parametrize("batch", [1, 2])
def test_draws_and_names_what_cannot_be_read(server, exported_cells, folder, capsys, way, batch, assert_same):
    out, file = folder / "out", folder / "all.json"
    labels = exported_cells.path / "assets" / "labels.txt"
    words = [folder, folder / "absent.jpg", "--url", getattr(server, way), "--batch-size", batch]
    said = refused(capsys, *words, "--labels", labels, "--output", out, "--json", file)
    lines = said.err.splitlines()
    assert sorted(lines[:2]) == [
        f"{folder / 'absent.jpg'} cannot be read (No such file or directory); check the path.",
        f"{folder / 'b.png'} is no image that the server can read, or a too large one.",
    ]
    assert lines[2] == "2 of 4 images were skipped, for the reasons above."
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]
    results = json.loads(file.read_text())
    assert results["class_names"] == ["red cell", "weiß", "plate"]
    for answer in results["images"]:
        expected = exported_cells.model.detect(answer["image"])
        found = {
            "boxes": [one["box"] for one in answer["detections"]],
            "scores": [one["score"] for one in answer["detections"]],
            "labels": [one["label"] for one in answer["detections"]],
        }
        assert_same(found, expected)


def test_classes_without_labels_are_numbers(server, folder, capsys):
    results = run(folder / "a.png", "--url", server.rest, "--output", folder / "out", "--score-threshold", 0)
    assert results["class_names"] == [f"class {n}" for n in range(1, len(results["class_names"]) + 1)]
    assert "class 1" in capsys.readouterr().out


@WAYS
@pytest.mark.parametrize("end", ["/", "/versions/1", ":predict", "/versions/1:predict"])
def test_urls(server, way, end):
    answer = ServingClient(getattr(server, way) + end).predict("serving_bytes", IMAGE)
    assert answer["image_ok"].tolist() == [0]


def test_one_path_for_both_ways(server):
    answer = ServingClient(server.grpc.replace("/cells", "/v1/models/cells")).predict("serving_bytes", IMAGE)
    assert answer["image_ok"].tolist() == [0]


@WAYS
@pytest.mark.parametrize(
    ("signature", "inputs", "part"),
    [
        ("serving_bytes", {"image": np.array([b"x"], object)}, "alias not found in signature: image"),
        ("serving_default", {"input_tensor": np.array([b"x"], object)}, "expected type|to be uint8"),
        ("serving_bytes", {"image_bytes": np.array([3, 4])}, "expected type|to be string"),
        ("elsewhere", IMAGE, '"elsewhere" not found'),
    ],
    ids=["wrong key", "bytes for pixels", "numbers for bytes", "wrong signature"],
)
def test_refused(server, way, signature, inputs, part):
    with pytest.raises(
        ValueError, match=f"cells refused the request .*({part}).*; check the model's name"
    ) as e:
        ServingClient(getattr(server, way)).predict(signature, inputs)
    assert "\n" not in str(e.value)


@WAYS
def test_wrong_model(server, folder, capsys, way):
    url = getattr(server, way).replace("/cells", "/plates")
    said = refused(capsys, folder / "a.png", "--url", url, "--output", folder / "out")
    assert said.err.startswith(f"{url} refused the request (Servable not found") and said.err.count("\n") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/v1/models/cells", "grpc://127.0.0.1:{}/cells"])
def test_gone(folder, capsys, url):
    pytest.importorskip("tensorflow_serving")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = url.format(unused.getsockname()[1])
    said = refused(capsys, folder / "a.png", "--url", url, "--output", folder / "out")
    assert said.err.startswith(f"{url} cannot be reached (") and said.err.count("\n") == 1
    assert "efused" in said.err and said.err.endswith("; start the server, or name another with --url.\n")


@WAYS
def test_slow(server, folder, capsys, monkeypatch, way):
    monkeypatch.setattr(server.stand_in, "delay", 1.5)
    url = getattr(server, way)
    said = refused(capsys, folder / "a.png", "--url", url, "--timeout", 0.2, "--output", folder / "out")
    assert said.err == (
        f"{url} has not answered within 0.2 seconds; wait longer with --timeout, or relieve it.\n"
    )


def test_answers_of_another_model(server, monkeypatch):
    client = ServingClient(server.rest)
    good = client.predict("serving_bytes", IMAGE)
    for answer, part in (
        ({name: value for name, value in good.items() if name != "image_ok"}, "answers without image_ok"),
        ({**good, "detection_scores": np.array([["a"]])}, r"answers detection_scores as <U1 \[1, 1\]"),
        ({**good, "num_detections": np.zeros([2])}, r"answers num_detections as float64 \[2\]"),
    ):
        monkeypatch.setattr(client, "predict", lambda *_, answer=answer: answer)
        with pytest.raises(ValueError, match=part):
            client.detect([b"x"])


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8501",
        "http://localhost:8501",
        "http://localhost:8501/v1/models/",
        "http://localhost:8501/v1/models/cells/versions/first",
        "http://localhost:8501/v1/models/cells:predict/x",
        "grpc://localhost:8500",
        "grpc:///cells",
        "grpc://localhost:8500/below/cells",
        "ftp://localhost/v1/models/cells",
    ],
)
def test_refuses_urls(url):
    with pytest.raises(ValueError, match="names no model of a server; give http://HOST:8501/v1/models/NAME"):
        ServingClient(url)


@pytest.mark.parametrize("word", ["--batch-size", "--timeout"])
def test_refuses_numbers(folder, capsys, word):
    said = refused(capsys, folder / "a.png", "--url", "grpc://localhost:1/x", word, 0)
    assert f"{word} is 0" in said.err


@WAYS
def test_overloaded(server, folder, capsys, monkeypatch, way):
    def predict(*_):
        raise server.full("The batch scheduling queue to which this task was submitted is full")

    monkeypatch.setattr(server.stand_in, "predict", predict)
    url = getattr(server, way)
    said = refused(capsys, folder / "a.png", "--url", url, "--output", folder / "out")
    assert said.err == (
        f"{url} is overloaded (The batch scheduling queue to which this task was submitted is full); "
        "try again later or send less at once.\n"
    )


def test_keeps_what_was_finished(server, folder, capsys, monkeypatch):
    detect = ServingClient.detect

    def once(client, contents):
        monkeypatch.setattr(ServingClient, "detect", gone)
        return detect(client, contents)

    def gone(client, contents):
        raise ConnectionError(f"{client.url} cannot be reached.")

    monkeypatch.setattr(ServingClient, "detect", once)
    file = folder / "all.json"
    words = [folder / "a.png", folder / "c.png", "--url", server.rest, "--output", folder / "out"]
    said = refused(capsys, *words, "--json", file)
    assert said.err.splitlines() == [
        "1 of 2 images was finished and kept.",
        f"{server.rest} cannot be reached.",
    ]
    assert [one["image"] for one in json.loads(file.read_text())["images"]] == [str(folder / "a.png")]


@pytest.mark.parametrize(
    ("name", "part"), [("latin.txt", "is no text in UTF-8"), ("label_map.pbtxt", "is a label map")]
)
def test_refuses_labels(folder, capsys, name, part):
    (folder / name).write_bytes("weiß".encode("latin-1"))
    words = [folder / "a.png", "--url", "grpc://localhost:1/x", "--output", folder / "out"]
    said = refused(capsys, *words, "--labels", folder / name)
    assert f"--labels {folder / name} {part}" in said.err and said.err.count("\n") == 1


def test_nothing_to_ask_and_a_path_before_the_api():
    with ServingClient("https://localhost:1/below/it/v1/models/cells/versions/3") as client:
        assert client.detect([]) == []


def answering(body, status=200, headers=(), pause=0.0):
    """A server that answers every request with these bytes, a few at a time."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                for start in range(0, len(body), 100 if pause else len(body)):
                    self.wfile.write(body[start : start + (100 if pause else len(body))])
                    self.wfile.flush()
                    time.sleep(pause)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ({"body": b" " * 3000}, ValueError, "answers with more than 0 MiB; send fewer images at once"),
        ({"body": b"[" * 900}, ValueError, "does not answer as TF-Serving does"),
        (
            {"body": b"", "status": 307, "headers": [("Location", "http://localhost:1/")]},
            ValueError,
            "refused .*307",
        ),
        ({"body": b" " * 900, "pause": 0.2}, TimeoutError, "0.5"),
    ],
)
def test_answers_that_would_keep_a_client_busy(monkeypatch, answer, error, sentence):
    monkeypatch.setattr(transports, "LARGEST_ANSWER", 1000)
    server = answering(**answer)
    with (
        contextlib.closing(server.socket),
        ServingClient(f"http://localhost:{server.server_port}/v1/models/cells", 0.5) as client,
        pytest.raises(error, match=sentence),
    ):
        client.predict("serving_bytes", IMAGE)
    server.shutdown()
