"""Whether freed memory stays with the process, seen in the page faults that the kernel counts."""

import os
import shutil
import subprocess
import sys

import pytest

from keras_frcnn import allocator

# Fills and frees forty buffers of 3 MB ten times; prints what was set, and the page faults each time.
PROGRAM = """
import importlib.util, resource, sys
spec = importlib.util.spec_from_file_location("allocator", sys.argv[1])
allocator = importlib.util.module_from_spec(spec)
spec.loader.exec_module(allocator)
import numpy as np
was_set = sys.argv[2] == "keep" and allocator.keep_memory()
def fill():
    return [np.ones(3 * 2**17) for _ in range(40)]
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    fill()
print(was_set, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


# The same after one data set of this package or a generator, and after the setting is made again.
PIPELINE = """
import resource, sys
import numpy as np, tensorflow as tf
import keras_frcnn as kf
from keras_frcnn.data.readers import shapes
def faults():
    [np.ones(3 * 2**17) for _ in range(40)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        [np.ones(3 * 2**17) for _ in range(40)]
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10
kf.keep_memory()
if sys.argv[1] == "ours":
    batches = shapes.load("train", 4).batches(2, image_size=(128, 160), training=True)
    list(batches), list(batches)
    print(faults())
else:
    list(tf.data.Dataset.from_generator(lambda: iter("a"), output_signature=tf.TensorSpec([], tf.string)))
    if sys.argv[1] != "generator":
        kf.keep_memory()
    print(faults())
"""


def faults_after(data):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", PIPELINE, data]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, env=plain).stdout)


OWN_MALLOC = """
void *__libc_malloc(unsigned long);
void *malloc(unsigned long size) { return __libc_malloc(size); }
"""


def run(word, **environment):
    command = [sys.executable, "-c", PROGRAM, allocator.__file__, word]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    was_set, faults = done.stdout.split()
    return was_set == "True", int(faults)


@pytest.mark.skipif(allocator._glibc() is None, reason="there is no glibc")
def test_page_faults():
    _, plain = run("leave")
    was_set, kept = run("keep")
    assert was_set and kept < 100 < 10_000 < plain
    assert run("keep", MALLOC_ARENA_MAX="2") == (False, pytest.approx(plain, rel=0.1))


def test_another_allocator_is_left_alone(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or allocator._glibc() is None:
        pytest.skip("there is no C compiler, or no glibc")
    source = tmp_path / "own.c"
    source.write_text(OWN_MALLOC)
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", tmp_path / "own.so"], check=True)
    assert run("keep", LD_PRELOAD=str(tmp_path / "own.so"))[0] is False


@pytest.mark.slow
@pytest.mark.skipif(allocator._glibc() is None, reason="there is no glibc")
@pytest.mark.parametrize("data", ["ours", pytest.param("generator, then set again", marks=pytest.mark.slow)])
def test_the_setting_outlives_the_data(data):
    assert faults_after(data) < 100


@pytest.mark.skipif(allocator._glibc() is None, reason="there is no glibc")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="TensorFlow sets malloc under Python 3.11 only")
def test_a_generator_undoes_the_setting():
    assert faults_after("generator") > 10_000


class Libc:
    """Takes thresholds up to a limit, as older versions of glibc do."""

    def __init__(self, limit):
        self.limit, self.taken = limit, {}

    def mallopt(self, parameter, value):
        if parameter == allocator.M_MMAP_THRESHOLD and value > self.limit:
            return 0
        self.taken[parameter] = value
        return 1


@pytest.mark.parametrize("limit, taken", [(2**40, 2**30), (2**25, 2**25)])
def test_as_much_as_glibc_takes(limit, taken):
    libc = Libc(limit)
    assert allocator._set(libc)
    assert libc.taken == {
        allocator.M_MMAP_THRESHOLD: taken,
        allocator.M_TRIM_THRESHOLD: 2**31 - 1,
        allocator.M_TOP_PAD: 64 * 2**20,
        allocator.M_ARENA_MAX: os.cpu_count(),
    }


def test_a_library_that_takes_nothing():
    assert not allocator._set(Libc(0))


@pytest.mark.parametrize(
    "environment, stands_back",
    [
        ({}, False),
        ({"GLIBC_TUNABLES": "glibc.rtld.nns=4"}, False),
        ({"MALLOC_TRIM_THRESHOLD_": "1000"}, True),
        ({"MALLOC_ARENA_MAX": "1"}, True),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=3"}, True),
    ],
)
def test_the_user_decides(environment, stands_back):
    assert allocator._is_set_otherwise(environment) == stands_back


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator._glibc() is None
