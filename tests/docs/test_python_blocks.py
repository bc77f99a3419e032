"""Every Python block of the documentation runs; of two pages about exports in `tests/export`."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "DESCRIPTION.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
ELSEWHERE = ("serving.md", "deployment.md")
# Pages that make networks of their own, which are small already.
OWN_NETWORKS = ("extending.md",)


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def given(page):
    """Names that a page takes for granted."""
    names = {"keras": keras, "keras_frcnn": keras_frcnn, "np": np, "tf": tf}
    if page.name == "own_data.md":
        names |= {
            "images": [np.zeros([64, 96, 3], np.uint8)],
            "boxes": [np.float32([[8, 8, 20, 20]])],
            "labels": [[0]],
        }
    return names


@pytest.fixture
def service():
    """The address of a tf.data service of this process."""
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
    worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=dispatcher.target.split("://")[1]))
    yield dispatcher.target.split("://")[1]
    del worker


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page) and page.name not in ELSEWHERE],
    ids=lambda page: page.name,
)
def test_blocks_run(page, world, service):
    if page.name not in OWN_NETWORKS:
        world()
    names = given(page)
    for code in blocks(page):
        exec(code.replace("localhost:5050", service), names)
    if page.name == "extending.md":
        assert len(names["counts"].counts) == 1
