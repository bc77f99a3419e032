"""An export under load: many threads, a tenth of the rows broken."""

import json
import pathlib
import struct
import subprocess
import sys
import zlib

import pytest
import tensorflow as tf


@pytest.fixture
def hammer(exported_cells, image_of, tmp_path):
    """A function from the number of calls to what the program of that name measured."""
    if not pathlib.Path("/proc/self/task").is_dir():
        pytest.skip("memory, threads and open files are read from /proc, which is Linux's")
    photo = image_of(120, 160, seed=1)
    jpeg, png = tf.io.encode_jpeg(photo).numpy(), tf.io.encode_png(photo).numpy()
    # A header that claims 10,000 × 6,000 pixels, its checksum mended.
    header = png[12:16] + struct.pack(">II", 10_000, 6_000) + png[24:29]
    good = [jpeg, png, tf.io.encode_png(image_of(40, 30)).numpy(), tf.io.encode_jpeg(image_of(1, 1)).numpy()]
    good.append(tf.io.encode_jpeg(image_of(20, 900)).numpy())
    broken = [jpeg[: len(jpeg) // 2], b"this is text", b"", png[: len(png) // 2]]
    broken.append(png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:])
    for kind, files in (("good", good), ("broken", broken)):
        (tmp_path / kind).mkdir()
        for number, contents in enumerate(files):
            (tmp_path / kind / str(number)).write_bytes(contents)

    def run(calls):
        program = pathlib.Path(__file__).with_name("hammer.py")
        words = [sys.executable, program, exported_cells.path, tmp_path, str(calls), "16"]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    return run


def check(measured):
    assert not measured["wrong"]
    assert 0.05 < measured["broken"] / measured["rows"] < 0.15
    files, threads = zip(*measured["handles"])
    assert max(files) <= files[0]
    # TensorFlow's pool starts a thread when all are busy; one left behind by each call would be hundreds.
    assert max(threads) <= threads[0] + 8


@pytest.mark.slow
def test_a_hundred_calls(hammer):
    check(hammer(100))


@pytest.mark.slow
def test_a_thousand_calls(hammer):
    measured = hammer(1000)
    check(measured)
    print(measured)
    assert max(measured["resident"]) <= 1.1 * measured["resident"][0]
