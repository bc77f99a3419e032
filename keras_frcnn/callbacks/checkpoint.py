"""Go on with an interrupted `fit` as if nothing had happened."""

import signal
import threading
import time
from pathlib import Path

import keras

from keras_frcnn import _compat, replicas
from keras_frcnn.callbacks import checkpoint_files
from keras_frcnn.callbacks.run_folder import check_finite
from keras_frcnn.callbacks.training_state import TrainingState

# Of the time of training that checkpoints by the clock may take.
LARGEST_SHARE = 0.02


class _Pause:
    """Value of `stop_training` that ends the loop over batches, but not the training."""

    def __bool__(self):
        return True


class Interrupted(KeyboardInterrupt):
    """A signal ended training, and a checkpoint has its state.

    Attributes:
        number: int, the signal.
    """

    def __init__(self, message, number):
        super().__init__(message)
        self.number = number


class Checkpoint(keras.callbacks.Callback):
    """Save the whole state of training now and then, and go on from there when `fit` is called again.

    Run the same script again after an interruption: `fit` continues with the very next batch, and ends with
    the weights, logs and scores of a run that was never interrupted, bit for bit at the same thread counts.
    A constant learning rate that the script has changed since is kept.
    A checkpoint has the weights, the optimizer, the random generators, the place in the data, the running
    means of the epoch, and the state of the other callbacks. On SIGTERM and Ctrl-C it is written at once.

    In the rest of an interrupted epoch, Keras counts the batches of callbacks from 0. Private attributes of
    callbacks are not kept; a callback that needs them has `state()` and `restore(state)`.

    Give `fit` the data of `DetectionDataset.batches`, with nothing after it but `repeat`, `map` or
    `prefetch`, and put this callback last.

    Args:
        folder: folder of the checkpoints.
        every_steps: batches between two checkpoints; None for none by this count.
        every_minutes: minutes between two checkpoints; None for none by the clock. It is longer where a large
            model's checkpoints would take more than 2 percent of the time.
        keep: number of checkpoints that stay.

    Attributes:
        seconds: list of the seconds that each checkpoint of the last `fit` took.
        bytes: int, the size of the last one.

    Raises:
        ValueError: an argument is out of range; at the start of `fit`: the checkpoint is of another model.

    Example:
        >>> model.fit(batches, epochs=12, callbacks=[DetectionMetrics(val), Checkpoint("run/checkpoints")])
    """

    def __init__(self, folder, every_steps=None, every_minutes=5.0, keep=2):
        super().__init__()
        for name, value in (("every_steps", every_steps), ("every_minutes", every_minutes)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}; give a number above 0, or None.")
        if keep < 1:
            raise ValueError(f"keep is {keep}; give at least 1.")
        self.folder = Path(folder)
        self.every_steps, self.every_minutes, self.keep = every_steps, every_minutes, keep
        self.seconds, self.bytes = [], 0

    # State of a running `fit`:
    #   _resumed   arrays and state of the checkpoint that it goes on from, until its first step has ended
    #   _paused    the epoch began within itself, so its data end before Keras has counted its steps
    #   _borrowed  the training function, while a step that computes nothing stands in for it
    #   _saved     name of the newest checkpoint
    #   _in_step   whether a signal has to wait, because the state is half new
    #   _asked     number of a signal that waits
    def on_train_begin(self, logs=None):
        self._begun, self.seconds = time.monotonic(), []
        self._state = TrainingState(self.model, self)
        # What is half restored cannot be saved, nor can what is within a step.
        self._in_step, self._asked, self._resumed, self._paused = True, None, None, False
        self._epoch, self._step, self._saved, self._borrowed = 0, 0, None, None
        self._before = _catch(self._on_signal)
        self.model.consumed.undo.append(self._undo)
        found = checkpoint_files.newest(self.folder)
        # All workers of a strategy go on from the files that the first of them writes.
        strategy = self.model.distribute_strategy
        self._writes = replicas.worker(strategy)[0] == 0
        here = found[2]["batches"] if found else -1
        if not replicas.agree(strategy, here):
            raise ValueError(
                f"The workers see different checkpoints in {self.folder}; give all of them the same folder."
            )
        if self._writes:
            checkpoint_files.remove_after(self.folder, found and found[0])
        if found:
            path, arrays, state = found
            self._state.restore(path, arrays, state)
            self._resumed, self._saved = (arrays, state), path.name
            _compat.begin_at(self.model, state["epoch"])
            print(f"Going on from {path}: epoch {state['epoch'] + 1}, step {state['step'] + 1}.", flush=True)
        self._last, self._saved_batches = time.monotonic(), self._state.batches()
        self._in_step = False
        self._stop_if_asked()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._step = epoch, 0
        self._state.begin()
        self.params["first_step"] = 0  # all callbacks share this dict
        if self._resumed:
            self._state.restore_epoch(*self._resumed)
            self._step = self.params["first_step"] = self._resumed[1]["step"]
            self._paused = self._step > 0
            if self._step and self._step == self.params["steps"]:
                # Only the end of the epoch is left: one step that computes nothing brings its logs.
                self._borrowed = self.model.train_function
                self.model.train_function = lambda iterator: self.model.get_metrics_result()

    def on_train_batch_begin(self, batch, logs=None):
        self._in_step = True

    def on_train_batch_end(self, batch, logs=None):
        self._in_step = False
        if self._borrowed is not None and self._resumed:
            self.model.train_function, self._borrowed = self._borrowed, None
            self._state.restore_epoch(*self._resumed)  # for the callbacks this was a step
        self._resumed = None
        self._step, batches = self._state.steps(), self._state.batches()
        last = self._step == self.params["steps"]
        if last:
            self._state.keep()
        # With steps_per_execution the count may jump over a multiple.
        if self.every_steps and batches - self._saved_batches >= self.every_steps or self._is_time():
            self._save()
        if last and self._paused and not self.model.stop_training:
            self.model.stop_training = _Pause()
        self._stop_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        if isinstance(self.model.stop_training, _Pause):
            self.model.stop_training = False
        self._paused = False
        self._epoch, self._step = epoch + 1, 0
        self._state.end(epoch, logs)
        # Keras puts averaged weights in place after the last epoch, so this is the last moment to go on from.
        if self._is_time() or epoch + 1 == self.params["epochs"] or self.model.stop_training:
            self._save()
        self._stop_if_asked()

    def on_train_end(self, logs=None):
        if self._resumed:  # no epoch was left
            self._state.restore_epoch(*self._resumed)

    def cost(self):
        """Say in a sentence what the checkpoints of the last `fit` cost."""
        total = time.monotonic() - self._begun
        if not self.seconds:
            return "No checkpoint was written."
        mean, share = sum(self.seconds) / len(self.seconds), sum(self.seconds) / total
        return (
            f"Checkpoints: {len(self.seconds)} of {self.bytes / 1e6:.1f} MB, {mean:.2f} s each, {share:.1%} "
            "of the training time."
        )

    def _undo(self):
        """Take back what is changed outside this callback, however `fit` ends."""
        _compat.begin_at(self.model, None)
        _restore(self._before)
        if self._borrowed is not None:
            self.model.train_function, self._borrowed = self._borrowed, None

    def _is_time(self):
        if self.every_minutes is None:
            return False
        cost = self.seconds[-1] if self.seconds else 0.0
        return time.monotonic() - self._last >= max(60 * self.every_minutes, cost / LARGEST_SHARE)

    def _save(self):
        # Nothing has happened since the checkpoint that this run goes on from, or another worker writes.
        if self._resumed or not self._writes:
            return
        started = time.monotonic()
        name = f"{checkpoint_files.PREFIX}{self._state.batches():010d}-{self._epoch:06d}"
        if name != self._saved:
            arrays, state = self._state.collect(self._epoch, self._step)
            check_finite(self._state.named(arrays), f"{self.folder} keeps the checkpoint before")
            path = checkpoint_files.write(self.folder, name, arrays, state, self.keep)
            self._saved = name
            self.seconds.append(time.monotonic() - started)
            self.bytes = sum(file.stat().st_size for file in path.iterdir())
        self._last, self._saved_batches = time.monotonic(), self._state.batches()

    def _on_signal(self, number, frame):
        if self._asked is not None:
            raise KeyboardInterrupt  # asked twice: stop without another word
        self._asked = number
        # Within a step the weights may be half new; otherwise this is as good a moment as any.
        if not self._in_step:
            self._stop_if_asked()

    def _stop_if_asked(self):
        # Several workers step together: the first one saves and leaves, and that ends the others.
        if self._asked is None or not self._writes:
            return
        _restore(self._before)
        self._save()
        raise Interrupted(f"Stopped; {self.folder} has the whole state.", self._asked)


def _catch(handler):
    """Install a handler of SIGTERM and SIGINT, and return those before; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}


def _restore(handlers):
    for number, handler in handlers.items():
        signal.signal(number, handler)
    handlers.clear()
