"""The sides of one comparison, each in its own process."""

import sys
import time

from sides.worker import SideFailed, Worker

OURS = "keras_frcnn"


class Sides:
    """Start the processes, let them work in turns, and end them; use it in a `with` statement.

    Args:
        peer_python: interpreter of the environment that the peers are installed in.

    Attributes:
        workers: dict from names to `Worker`.
        skipped: dict from names of peers to the reasons why they take no part.
    """

    def __init__(self, peer_python=sys.executable):
        self.peer_python = peer_python
        self.workers = {}
        self.skipped = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.workers.values():
            worker.close()

    def ours(self, name, subject, script="ours", **arguments):
        """Start a process of this package; see `Worker` for the arguments."""
        self.workers[name] = Worker(sys.executable, script, subject, **arguments)
        return self.workers[name]

    def peer(self, name, script, subject, **arguments):
        """Start a process of a peer; if that fails, return None and put the reason into `skipped`."""
        try:
            self.workers[name] = Worker(self.peer_python, script, subject, **arguments)
        except SideFailed as error:
            self.skipped[name] = str(error)
            return None
        return self.workers[name]

    def drop(self, name, reason=None):
        """End a process; with a reason it counts as skipped."""
        self.workers.pop(name).close()
        if reason:
            self.skipped[name] = reason

    def in_turns(self, names, rounds, at_least=0.5):
        """Let sides work in turns, so that other load on the machine affects them alike.

        Args:
            names: names of the sides.
            rounds: int, turns of each side that count, after one that does not.
            at_least: smallest duration of a turn, seconds.

        Returns:
            dict from each name to the seconds of its turns, and the share of one processor that all
            waiting sides used together, 0 if they sleep.
        """
        taken, busy, whole = {name: [] for name in names}, 0.0, 0.0
        for number in range(rounds + 1):
            for name in names:
                time.sleep(0.05)  # let the threads of the last side go to sleep
                others = [worker for other, worker in self.workers.items() if other != name]
                before, started = sum(other.cpu_seconds() for other in others), time.perf_counter()
                seconds = self.workers[name].call("turn", at_least=at_least if number else 0.0)
                busy += sum(other.cpu_seconds() for other in others) - before
                whole += time.perf_counter() - started
                if number:
                    taken[name].append(seconds)
        return taken, busy / whole

    def versions(self):
        """Versions of all libraries that take part."""
        return {
            library: version
            for worker in self.workers.values()
            for library, version in worker.versions.items()
        }
