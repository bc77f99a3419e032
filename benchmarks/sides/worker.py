"""The end that asks a worker process for work; `subject.py` is the end that does it."""

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

# The folder that `sides` lies in.
HOME = Path(__file__).resolve().parents[1]
THREADS = ("OMP_", "MKL_", "KMP_", "TF_NUM_")
# What `keras_frcnn.keep_memory` sets, for any process.
KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_ARENA_MAX": str(os.cpu_count()),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}


class SideFailed(Exception):
    """A process cannot do its part; the message says why."""


class Worker:
    """A process with one library in it, which works only while it is asked to.

    Torch and TensorFlow in one process would disturb each other's threads and share one peak of memory.

    Args:
        python: interpreter.
        script: module of `sides` that serves subjects.
        subject: name of one.
        environment: dict of variables that the process gets besides those of this one.
        arguments: of the function that makes it, as JSON takes them.

    Attributes:
        versions: dict from the names of its libraries to their versions.

    Raises:
        SideFailed: there is no such interpreter or library, or the subject cannot be made.
    """

    def __init__(self, python, script, subject, environment=None, **arguments):
        # What a user has set for one library's threads would handicap one side.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(THREADS)}
        kept |= {"OMP_NUM_THREADS": str(cores()), **(environment or {})}
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HOME), kept.get("PYTHONPATH")]))
        command = [str(python), "-m", f"sides.{script}", subject, json.dumps(arguments)]
        # What libraries say while they start interests only where they fail.
        self.log = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                env={"TF_CPP_MIN_LOG_LEVEL": "2", **kept},
                encoding="utf-8",
            )
        except OSError as error:
            raise SideFailed(f"{python} cannot be run: {error.strerror}") from error
        try:
            self.versions = self._hear()
        except SideFailed:
            self.close()
            raise

    def call(self, name, /, **arguments):
        """What a function of the subject answers.

        Args:
            name: of the function.
            arguments: as JSON takes them.

        Raises:
            SideFailed: it raised, or the process is gone.
        """
        with contextlib.suppress(BrokenPipeError):  # the reply says so
            print(json.dumps({"call": name, "arguments": arguments}), file=self.process.stdin, flush=True)
        return self._hear()

    def cpu_seconds(self):
        """Seconds of processor time that the process has taken, over its threads; 0 where nobody tells."""
        try:
            fields = (
                Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            )
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def _hear(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            said = self.log.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(said) if line.strip()), "nothing said")
            raise SideFailed(f"its process ended with status {self.process.wait()}: {last}")
        reply = json.loads(line)
        if "error" in reply:
            raise SideFailed(reply["error"])
        return reply["result"]


def cores():
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
