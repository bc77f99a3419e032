"""Published files: fetched over a network that cuts, corrupts, delays and refuses; checked and kept."""

import hashlib
import os
import pathlib
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from keras_frcnn import downloads
from keras_frcnn.downloads import answer, transfer

BODY = np.random.default_rng(0).bytes(300_000)
NAME = f"made_up-{hashlib.sha256(BODY).hexdigest()[:8]}.pth"


@pytest.fixture
def mirror(server, cache):
    """The server, as the mirror, with one file."""
    server.files[NAME] = BODY
    with downloads.from_mirror(server.url):
        yield server


def refused(match, error=ValueError):
    with pytest.raises(error, match=match) as caught:
        downloads.published(NAME)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def ranges(server):
    return [asked for _, asked in server.requests]


def test_fetched_once_and_kept(mirror, cache, capsys):
    path = downloads.published(NAME)
    assert path == cache / NAME and path.read_bytes() == BODY
    assert capsys.readouterr().out == f"Fetching {mirror.url}{NAME}, 0.3 MB\n"
    assert downloads.published(NAME) == path and mirror.requests == [(f"/models/{NAME}", "")]
    assert {one.name for one in cache.iterdir()} <= {NAME, f".{NAME}.lock"}


@pytest.mark.parametrize("at", [0, 1, 65_536, 150_000, len(BODY) - 1])
def test_cut_at_one_place(at, mirror):
    mirror.faults = [mirror.cut(at)]
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror) == ["", f"bytes={at}-" if at else ""]


def test_cut_at_five_places(mirror):
    places = [1000, 70_000, 70_001, 200_000, 299_999]
    mirror.faults = [mirror.cut(at) for at in places]
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror) == ["", *(f"bytes={at}-" for at in places)]


def test_cut_again_and_again(mirror, cache):
    """After three attempts in a row that bring nothing it ends; the next call goes on."""
    mirror.faults = [mirror.cut(5000)] * 4
    text = refused(
        "could not be fetched .the connection was cut after 5000 of 300000 bytes.; check the network"
    )
    assert f"put the file at {cache / NAME}" in text and "a folder with KERAS_FRCNN_WEIGHTS_URL" in text
    assert len(mirror.requests) == 4 and not (cache / NAME).exists()
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror)[-1] == "bytes=5000-"


def test_the_attempts_are_bounded(mirror):
    mirror.faults = [mirror.cut(at) for at in range(1, 100)]
    refused("the connection was cut after 20 of 300000 bytes")
    assert len(mirror.requests) == transfer.ATTEMPTS


def test_goes_on_after_the_end_of_a_process(mirror, cache):
    """SIGKILL while the server hesitates, in a fresh process; the next one asks for the rest only."""
    hesitate = threading.Event()

    def half(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:200_000])
        handler.wfile.flush()
        hesitate.wait(60)
        return True

    mirror.faults = [half]
    program = f"from keras_frcnn import downloads; downloads.published({NAME!r})"
    environment = {**os.environ, downloads.VARIABLE: mirror.url}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL)
    part = cache / f".{NAME}.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 100_000):
        time.sleep(0.01)
    process.kill()
    process.wait()
    hesitate.set()
    there = part.stat().st_size
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror)[-1] == f"bytes={there}-" and there > 100_000


def test_a_corrupt_byte(mirror, cache):
    mirror.faults = [mirror.corrupt(100_000)]
    digits = NAME[8:16]
    refused(f"the SHA-256 of what the server sends begins with [0-9a-f]{{8}} instead of {digits}")
    assert len(mirror.requests) == 1 and not [*cache.glob("*.pth"), *cache.glob(".*.part")]
    assert downloads.published(NAME).read_bytes() == BODY


def test_a_corrupt_byte_in_a_part_that_was_gone_on_with(mirror, cache):
    """Which part is wrong is not known, so all of it is fetched again."""
    cache.mkdir(parents=True)
    (cache / f".{NAME}.part").write_bytes(b"something else")
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror) == ["bytes=14-", ""]


def test_a_part_that_is_too_long(mirror, cache):
    cache.mkdir(parents=True)
    (cache / f".{NAME}.part").write_bytes(BODY + b"more")
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror) == [f"bytes={len(BODY) + 4}-", ""]


def test_a_part_that_is_complete(mirror, cache):
    """The process ended after the last byte, and before the file got its name."""
    cache.mkdir(parents=True)
    (cache / f".{NAME}.part").write_bytes(BODY)
    assert downloads.published(NAME).read_bytes() == BODY and not mirror.requests


def test_a_server_without_ranges(mirror):
    mirror.faults = [mirror.cut(1000), mirror.no_ranges()]
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror) == ["", "bytes=1000-"]


def test_a_file_that_changes_meanwhile(mirror):
    """With another validator the server sends the whole file, which takes the place of the part."""

    def changed(handler, body):
        mirror.validator = '"two"'
        return False

    mirror.files[NAME], mirror.faults = b"older" * 60_000, [mirror.cut(1000), changed]
    with pytest.raises(ValueError, match="instead of"):
        downloads.published(NAME)
    mirror.files[NAME] = BODY
    assert downloads.published(NAME).read_bytes() == BODY


def test_another_part_than_was_asked_for(mirror):
    def shifted(handler, body):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(body) - 7))
        handler.end_headers()
        handler.wfile.write(body[7:])
        return True

    mirror.faults = [mirror.cut(1000), shifted]
    refused("the server sends another part than it was asked for")


def test_a_part_of_a_file_of_unknown_length(mirror):
    def rest(handler, body):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 1000-{len(body) - 1}/*")
        handler.send_header("Content-Length", str(len(body) - 1000))
        handler.end_headers()
        handler.wfile.write(body[1000:])
        return True

    mirror.faults = [mirror.cut(1000), rest]
    assert downloads.published(NAME).read_bytes() == BODY
    assert ranges(mirror) == ["", "bytes=1000-"]


def test_no_length(mirror):
    def silent(handler, body):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True
        return True

    mirror.faults = [silent]
    assert downloads.published(NAME).read_bytes() == BODY


def test_a_delay(mirror, monkeypatch):
    monkeypatch.setattr(answer, "PATIENCE", 0.2)
    mirror.faults = [mirror.delay(1.0)]
    assert downloads.published(NAME).read_bytes() == BODY
    mirror.faults = [mirror.delay(1.0)] * 3
    (downloads.folder() / NAME).unlink()
    refused("could not be fetched .timed out.")


def test_a_busy_server(mirror):
    mirror.faults = [mirror.answer(503), mirror.answer(500)]
    assert downloads.published(NAME).read_bytes() == BODY
    (downloads.folder() / NAME).unlink()
    mirror.faults = [mirror.answer(500)] * 3
    refused("the server answers 500 Internal Server Error")


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_lasting_refusal_is_not_repeated(status, mirror):
    mirror.faults = [mirror.answer(status)]
    refused(f"the server answers {status} ")
    assert len(mirror.requests) == 1


def test_redirects(mirror):
    mirror.faults = [mirror.answer(302, Location=f"{mirror.url}elsewhere/{NAME}")]
    assert downloads.published(NAME).read_bytes() == BODY
    (downloads.folder() / NAME).unlink()
    for place in ("file:///etc/passwd", "ftp://localhost/a"):
        mirror.faults = [mirror.answer(302, Location=place)]
        refused(f"it leads on to {place}, which is not https|the server answers 302")
    mirror.faults = [mirror.answer(302, Location=f"{mirror.url}{NAME}") for _ in range(30)]
    refused("the server answers 302")


def test_no_redirect_leads_from_https_to_http():
    request = answer.urllib.request.Request("https://example.org/a")
    with pytest.raises(answer.NotFetched, match="it leads on to http://example.org/a, which is not https"):
        answer._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/a")
    assert answer._Redirects().redirect_request(request, None, 302, "", {}, "https://example.org/b")


def test_a_file_without_end(mirror, monkeypatch):
    monkeypatch.setattr(answer, "LARGEST", 100_000)
    refused("it is larger than 0 GB")
    assert len(mirror.requests) == 1


def test_no_network(cache):
    with downloads.from_mirror("http://127.0.0.1:9/"):
        assert str(cache / NAME) in refused(
            r"http://127.0.0.1:9/made_up.*could not be fetched .Connection refused."
        )
    with downloads.from_mirror("https://no-such-host.invalid/"):
        refused("could not be fetched")
    with downloads.from_mirror("https://host:port/"):
        refused("could not be fetched")


@pytest.mark.parametrize("form", [str, pathlib.Path, lambda path: path.as_uri(), lambda path: f"{path}/"])
def test_a_folder(form, cache, tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    with downloads.from_mirror(form(folder)):
        refused("has no made_up", FileNotFoundError)
        (folder / NAME).write_bytes(BODY[:-1])
        refused("is not the file that was published under this name")
        (folder / NAME).write_bytes(BODY)
        assert downloads.published(NAME).read_bytes() == BODY


@pytest.mark.parametrize(
    "place", ["ftp://example.org/", "no/such/folder", "example.org", "https://[bad/", "~no-such-user/x"]
)
def test_what_is_no_place(place, cache):
    with downloads.from_mirror(place):
        refused("is no place of weights; give an address that begins with https:// or a folder with KERAS_")


@pytest.mark.parametrize(
    "place", ["https://me:hidden@example.org/a", "HTTPS://hidden@[bad", "ftp://hidden@a"]
)
def test_a_login_is_refused_and_not_repeated(place, cache):
    with downloads.from_mirror(place):
        assert "hidden" not in refused("The address of weights has a login.*; give an address")


def test_a_file_of_a_folder_that_cannot_be_read(cache, tmp_path, monkeypatch):
    """The sentence names that file and not the cache."""
    (tmp_path / NAME).write_bytes(BODY)

    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pathlib.Path, "read_bytes", fail)
    with downloads.from_mirror(tmp_path):
        text = refused("cannot be read .Permission denied.; make it readable, or name another", OSError)
        assert text.startswith(str(tmp_path / NAME))


def test_the_environment_names_a_mirror(mirror, monkeypatch):
    monkeypatch.setenv(downloads.VARIABLE, "http://127.0.0.1:9/")
    downloads.published(NAME)  # what is given goes over the environment
    (downloads.folder() / NAME).unlink()
    with downloads.from_mirror(None):
        downloads.published(NAME)
    (downloads.folder() / NAME).unlink()
    monkeypatch.setenv(downloads.VARIABLE, mirror.url.rstrip("/"))
    program = f"from keras_frcnn import downloads; print(downloads.published({NAME!r}))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == str(downloads.folder() / NAME)


def test_another_file_under_the_name(cache):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"another")
    refused("is not the file that was published under this name; remove it and try again")


def test_several_processes_fetch_once(mirror):
    mirror.faults = [mirror.delay(0.5)]
    program = f"from keras_frcnn import downloads; print(downloads.published({NAME!r}).stat().st_size)"
    environment = {**os.environ, downloads.VARIABLE: mirror.url}
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(3)]
    assert [one.communicate()[0].split()[-1] for one in processes] == [b"300000"] * 3
    assert len(mirror.requests) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_that_cannot_be_written(mirror, cache):
    cache.parent.mkdir()
    cache.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    refused("cannot be written", OSError)


def test_a_cache_that_is_a_file(mirror, cache):
    cache.parent.write_text("")
    refused("cannot be written .*; name another folder with the environment variable KERAS_HOME", OSError)


def test_a_file_system_without_locks(mirror, monkeypatch):
    def fail(*_, **__):
        raise NotImplementedError("no flock")

    monkeypatch.setattr("filelock.FileLock.acquire", fail)
    refused("is on a file system without locks; name another folder with .* KERAS_HOME", OSError)


def test_a_full_disk(mirror, monkeypatch):
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("no full disk here")
    name = downloads.published.__globals__["transfer"].__globals__
    real = open
    monkeypatch.setitem(
        name, "open", lambda path, mode: real("/dev/full", "wb", 0) if "a" in mode else real(path, mode)
    )
    refused("cannot be written .(No space left|Invalid argument)", OSError)


def test_a_live_bar_on_a_terminal(mirror, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    downloads.published(NAME)
    assert "Fetching" in capsys.readouterr().out


def test_nothing_is_fetched_at_import():
    program = (
        "import socket; socket.socket.connect = lambda *_: 1 / 0; "
        "import keras_frcnn as kf; print(kf.presets())"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "fasterrcnn_resnet50_fpn_v2_coco" in out.stdout
