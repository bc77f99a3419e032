"""The working end of a worker process; `worker.py` is the end that asks for work.

It reads lines of JSON, `{"call": NAME, "arguments": {...}}`, and answers each with `{"result": ...}` or
`{"error": SENTENCE}`. It needs only NumPy because it also runs in the environment of the peers.
"""

import importlib
import json
import os
import re
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np


class Subject:
    """The work of a process.

    Args:
        run: function without arguments that does the work once and returns a dict of arrays.
        calls: further functions that the other end may call by name; they return JSON values.
    """

    def __init__(self, run=None, **calls):
        self.run = run
        self.calls = {"turn": self.turn, "answer": self.answer, **calls}

    def turn(self, at_least):
        """Repeat the work for `at_least` seconds, and return its median time in seconds.

        The first run wakes the threads and fills the caches, and does not count.
        """
        self.run()
        taken, end = [], time.perf_counter() + at_least
        while not taken or time.perf_counter() < end:
            started = time.perf_counter()
            self.run()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    def answer(self, file):
        """Do the work once and write the result to a `.npz` file."""
        np.savez(file, **self.run())


def serve(subjects):
    """Make the subject that the command line names, and answer calls until the pipe closes.

    Args:
        subjects: dict from a name to the names of the libraries that it needs and a function that makes the
            `Subject` from arguments given as JSON.
    """
    # Send what libraries print to stderr, so that it does not mix with the answers.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(function, **arguments):
        try:
            line = {"result": function(**arguments)}
        except Exception as error:  # report any error to the other end and continue
            line = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"}
        print(json.dumps(line), file=pipe, flush=True)

    libraries, make = subjects[sys.argv[1]]
    state = {}

    def start(**arguments):
        versions = {name: _version(importlib.import_module(name)) for name in libraries}
        state["empty"] = peak_memory()
        state["subject"] = make(**arguments)
        return {"python": sys.version.split()[0], **versions}

    def memory():
        return {"empty": state["empty"], "peak": peak_memory()}

    reply(start, **json.loads(sys.argv[2]))
    for line in sys.stdin:
        request = json.loads(line)
        calls = {"memory": memory, **state["subject"].calls}
        reply(calls[request["call"]], **request["arguments"])


def peak_memory():
    """Peak memory of this process, bytes."""
    status = Path("/proc/self/status")
    # ru_maxrss also counts the memory of the parent when it started this process.
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _version(module):
    return str(getattr(module, "__version__", "unknown"))
