"""Progress of a run in one line an epoch."""

import time

import keras

SHOWN = ("loss", "val_loss", "proposal_recall", "val_voc_ap50")


class EpochLines(keras.callbacks.Callback):
    """Print one line after each epoch: the losses, the score, the time an epoch takes and the time left."""

    def on_train_begin(self, logs=None):
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        epochs = self.params["epochs"]
        elapsed = time.monotonic() - self._started
        left = elapsed / (epoch + 1) * (epochs - epoch - 1)
        figures = "  ".join(f"{name} {logs[name]:.3f}" for name in SHOWN if name in logs)
        print(
            f"epoch {epoch + 1}/{epochs}  {figures}  [{clock(elapsed)} gone, {clock(left)} left]", flush=True
        )


def clock(seconds):
    """Seconds as minutes and seconds, `3:07`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
