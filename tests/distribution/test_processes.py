"""Two replicas beside one process: the same gradients and losses; a worker that is killed, and a restart."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = pytest.mark.slow
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
MINUTES = 20


def environments(workers):
    """The environment of each process; ports that were free a moment ago."""
    base = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if workers == 1:
        return [base]
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    hosts = [f"127.0.0.1:{holder.getsockname()[1]}" for holder in holders]
    for holder in holders:
        holder.close()
    task = {"cluster": {"worker": hosts}}
    return [
        {**base, "TF_CONFIG": json.dumps({**task, "task": {"type": "worker", "index": index}})}
        for index in range(workers)
    ]


def start(words, workers, folder):
    """Start the same program once for each worker; the output of each goes to a file."""
    processes = []
    for index, environment in enumerate(environments(workers)):
        with open(folder / f"output{index}.txt", "a") as output:
            own = [str(word).replace("WORKER", str(index)) for word in words]
            processes.append(
                subprocess.Popen(
                    [sys.executable, *own], env=environment, cwd=folder, stdout=output, stderr=output
                )
            )
    return processes


def run(kind, data, precision, folder, batches, steps):
    words = [HERE / "worker.py", folder / f"{kind}WORKER.npz", kind, data, precision, batches, steps]
    processes = start(words, 2 if kind == "multi_worker" else 1, folder)
    codes = [process.wait(60 * MINUTES) for process in processes]
    assert codes == [0] * len(codes), (folder / "output0.txt").read_text()[-3000:]
    results = []
    for index in range(len(processes)):
        file = folder / f"{kind}{index}.npz"
        with np.load(file) as arrays:
            gradients = arrays["gradients"]
        losses = [logs["loss"] for logs in json.loads(file.with_suffix(".npz.json").read_text())]
        results.append((gradients, losses))
    return results


@pytest.fixture(scope="module")
def real(shared):
    """Pictures of mixed sizes and orientations."""
    return f"voc:{shared / 'data' / 'voc2012_sample'}@val"


@pytest.mark.parametrize("kind", ["mirrored", "multi_worker"])
def test_two_replicas_have_the_gradients_of_one(kind, real, tmp_path):
    """In float64 no rounding is left that could decide which RoI is sampled."""
    ((gradients, losses),) = run("none", real, "float64", tmp_path, 20, 2)
    for theirs, their_losses in run(kind, real, "float64", tmp_path, 20, 2):
        error = np.linalg.norm(theirs - gradients, axis=1) / np.linalg.norm(gradients, axis=1)
        assert error.max() < 1e-12
        np.testing.assert_allclose(their_losses, losses, rtol=1e-6)


@pytest.mark.parametrize("kind", ["mirrored", "multi_worker"])
def test_two_replicas_learn_as_one(kind, real, tmp_path):
    ((gradients, losses),) = run("none", real, "float32", tmp_path, 20, 50)
    for theirs, their_losses in run(kind, real, "float32", tmp_path, 20, 50):
        norms = np.linalg.norm(gradients, axis=1)
        error = np.linalg.norm(theirs - gradients, axis=1) / norms
        # In some batches the last bit of a score decides which of two RoIs is sampled.
        assert np.median(error) < 1e-5 and error.max() < 5e-3
        np.testing.assert_allclose(their_losses[:10], losses[:10], rtol=1e-3)
        np.testing.assert_allclose(their_losses, losses, rtol=0.05)


def test_float16_runs_on_two_workers(tmp_path):
    first, second = run("multi_worker", "shapes@val", "mixed_float16", tmp_path, 1, 6)
    assert first[1] == second[1] and np.isfinite(first[1]).all() and first[1][-1] < first[1][0]


def test_a_killed_worker_and_a_restart_of_all(shared, tmp_path):
    bccd = shared / "data" / "bccd"
    words = [ROOT / "train.py", "--train", f"voc:{bccd}@val", "--val", f"voc:{bccd}@test"]
    words += ["--backbone", "tiny_fpn", "--backbone-weights", "none", "--image-size", "96", "128"]
    words += ["--epochs", "3", "--batch-size", "4", "--checkpoint-minutes", "0.05"]
    words += ["--strategy", "multi_worker", "--output", tmp_path / "run"]
    processes = start(words, 2, tmp_path)
    end = time.monotonic() + 60 * MINUTES
    while "epoch 2/3" not in (tmp_path / "output0.txt").read_text():
        assert processes[0].poll() is None and time.monotonic() < end
        time.sleep(0.5)
    processes[1].send_signal(signal.SIGKILL)
    assert processes[0].wait(60 * MINUTES) == 1
    text = (tmp_path / "output0.txt").read_text()
    assert "Another worker was lost; start all of them again, with --resume and the run folder." in text
    assert "Traceback" not in text
    processes = start([ROOT / "train.py", "--resume", tmp_path / "run"], 2, tmp_path)
    assert [process.wait(60 * MINUTES) for process in processes] == [0, 0]
    text = (tmp_path / "output0.txt").read_text()
    assert "Going on from" in text and "epoch 3/3" in text
    assert {"last.keras", "best.keras", "metrics.json", "log.csv"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 1 + 3
    assert (tmp_path / "output1.txt").read_text().count("epoch") == 0
