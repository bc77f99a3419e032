"""The end that asks a worker process for work; `subject.py` is the working end."""

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

# The folder that contains `sides`.
HOME = Path(__file__).resolve().parents[1]
THREADS = ("OMP_", "MKL_", "KMP_", "TF_NUM_")
# The settings of `keras_frcnn.keep_memory`, for any process.
KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_ARENA_MAX": str(os.cpu_count()),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}


class SideFailed(Exception):
    """A process cannot do its part; the message says why."""


class Worker:
    """A process with one library, which works only on request.

    Torch and TensorFlow in one process would disturb each other's threads and share one peak of memory.

    Args:
        python: interpreter.
        script: module of `sides` that serves subjects.
        subject: name of a subject of that module.
        environment: dict of further environment variables for the process.
        arguments: arguments of the function that makes the subject, JSON values.

    Attributes:
        versions: dict from the names of its libraries to their versions.

    Raises:
        SideFailed: if the interpreter or a library is missing, or the subject cannot be made.
    """

    def __init__(self, python, script, subject, environment=None, **arguments):
        # Drop the user's thread settings, which could handicap one side.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(THREADS)}
        kept |= {"OMP_NUM_THREADS": str(cores()), **(environment or {})}
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HOME), kept.get("PYTHONPATH")]))
        command = [str(python), "-m", f"sides.{script}", subject, json.dumps(arguments)]
        # Log what libraries print; it only matters if they fail.
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
        """Call a function of the subject and return its answer.

        Args:
            name: name of the function.
            arguments: its arguments, JSON values.

        Raises:
            SideFailed: if the function raised, or the process has ended.
        """
        with contextlib.suppress(BrokenPipeError):  # `_hear` reports it
            print(json.dumps({"call": name, "arguments": arguments}), file=self.process.stdin, flush=True)
        return self._hear()

    def cpu_seconds(self):
        """Processor time of all threads of the process, seconds; 0 if the system does not report it."""
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
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
