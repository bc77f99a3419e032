"""The progress of a download: a live bar on a terminal, elsewhere a line every ten seconds."""

import time

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

INTERVAL = 10  # seconds


class DownloadLines:
    """Say what is fetched, and how much of it is there; a context manager.

    Args:
        url: address of the file.
    """

    def __init__(self, url):
        self.url = url
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        columns = BarColumn(20), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        self._live = Progress(*columns, console=self._console, transient=True, refresh_per_second=2)
        self._bar = self._live.add_task("", total=None)
        self._spoken = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._console.is_terminal:
            self._live.stop()

    def __call__(self, done, total):
        """Show the progress.

        Args:
            done: bytes that are there.
            total: bytes of the file, or None if the server does not say.
        """
        now = time.monotonic()
        if not self._spoken:
            self._spoken = now
            self._console.print(f"Fetching {self.url}{_size(total)}")
            if self._console.is_terminal:
                self._live.start()
        self._live.update(self._bar, completed=done, total=total)
        if not self._console.is_terminal and now - self._spoken >= INTERVAL:
            self._spoken = now
            self._console.print(f"{done / 1e6:.1f} MB are there{_size(total, ' of ')}")


def _size(total, before=", "):
    return "" if total is None else f"{before}{total / 1e6:.1f} MB"
