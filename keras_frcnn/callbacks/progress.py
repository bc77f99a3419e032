"""Progress as printed lines: one per epoch, and one every ten seconds during long tasks."""

import math
import time

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

INTERVAL = 10  # seconds
SHOWN = (
    *("loss", "val_loss", "proposal_recall", "val_proposal_recall", "average_recall", "val_average_recall"),
    "val_voc_ap50",
)


class EpochLines(keras.callbacks.Callback):
    """Print one line after each epoch: the losses, the score, the elapsed time and the time left.

    The running epoch has a line too: a live one with a bar on a terminal, a new one every ten seconds
    elsewhere. Close it after `fit`, also after one that failed, so that the terminal is as before.
    """

    def __init__(self):
        super().__init__()
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._live, self._test_step, self._test_steps = None, None, None

    def close(self):
        """Remove the live line."""
        if self._live:
            self._live.stop()
            self._live = None

    def on_train_begin(self, logs=None):
        self._started = self._shown = time.monotonic()
        self._share_at_start = None
        if self._console.is_terminal:
            columns = BarColumn(20), TextColumn("{task.description}", markup=False)
            self._live = Progress(*columns, console=self._console, transient=True, refresh_per_second=2)
            self._bar = self._live.add_task("preparing the first step", total=1.0)
            self._live.start()

    def on_train_end(self, logs=None):
        self.close()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        # An epoch that `Checkpoint` goes on with begins within.
        self._first = self.params.get("first_step", 0)
        if self._share_at_start is None:
            self._share_at_start = self._share(self._first + batch)

    def on_train_batch_end(self, batch, logs=None):
        # Where only the end of an epoch was left, Keras makes one step more.
        step = min(self._first + batch + 1, self.params["steps"] or math.inf)
        text = f"step {step}/{self.params['steps'] or '?'}  loss {logs['loss']:.3f}"
        self._print_seldom(text, self._share(step))

    def on_test_batch_end(self, batch, logs=None):
        self._test_step = batch + 1
        # Keras knows the number only after the first epoch.
        of = f"/{self._test_steps}" if self._test_steps else ""
        self._print_seldom(f"validation step {batch + 1}{of}  loss {logs['loss']:.3f}", self._share_at_end())

    def on_test_end(self, logs=None):
        self._test_steps = self._test_step
        if self._live:
            self._print_seldom("scoring", self._share_at_end())

    def scored(self, done, total):
        """Tell how many images have been scored; the `progress` of `DetectionMetrics`."""
        self._print_seldom(f"scoring image {done}/{total}", self._share_at_end())

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        figures = "  ".join(f"{name} {logs[name]:.3f}" for name in SHOWN if name in logs)
        self._console.print(self._line(figures, self._share_at_end()))

    def _share(self, step):
        """The share of the training that is done after a step of the epoch."""
        steps = self.params["steps"] or 0
        return (self._epoch + step / max(steps, step, 1)) / self.params["epochs"]

    def _share_at_end(self):
        """The share of the training that is done at the end of the epoch."""
        return (self._epoch + 1) / self.params["epochs"]

    def _print_seldom(self, text, done):
        if self._live:
            self._live.update(self._bar, description=self._line(text, done), completed=done)
        elif time.monotonic() - self._shown >= INTERVAL:
            self._console.print(self._line(text, done))

    def _line(self, text, done):
        """The line of a running or finished epoch, with the time gone and left."""
        self._shown = time.monotonic()
        elapsed = time.monotonic() - self._started
        clocks = f"[{clock(elapsed)} gone"
        progress = done - (self._share_at_start or 0.0)
        # The first steps are slow, because they are traced.
        known = progress > 0 and (elapsed >= INTERVAL or done == 1)
        clocks += f", {clock(elapsed * (1 - done) / progress)} left]" if known else "]"
        return f"epoch {self._epoch + 1}/{self.params['epochs']}  {text}  {clocks}"


class ImageLines:
    """Print how many images of a task are done, one line every ten seconds; nothing for shorter tasks.

    Args:
        task: str, name of the task, which may run several times in a row.
    """

    def __init__(self, task="proposals"):
        self.task = task
        self._started = self._spoken = time.monotonic()

    def __call__(self, done, total):
        now = time.monotonic()
        if done == 1:
            self._started = self._spoken = now
        last = done == total and self._spoken > self._started
        if not last and now - self._spoken < INTERVAL:
            return
        self._spoken, gone = now, now - self._started
        times = f"{clock(gone)} gone, {clock(gone / done * (total - done))} left"
        print(f"{self.task}: {done} of {total} images  [{times}]", flush=True)


def clock(seconds):
    """Format seconds as minutes and seconds, such as `3:07`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
