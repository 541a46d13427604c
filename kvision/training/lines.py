"""What a training says where a bar cannot be drawn again and again, as in a file: a line from time to time."""

import sys
import time

import keras

from kvision import progress

__all__ = ["Lines", "verbosity"]

_WITHIN = 60.0  # seconds between two lines within an epoch


def verbosity(verbose: str | int) -> str | int:
    """Returns Keras' `verbose` of one pass over data: "auto" is a bar where one can be drawn, and elsewhere a line."""
    return 2 if verbose == "auto" and not progress.redraws(sys.stdout) else verbose


class Lines(keras.callbacks.Callback):
    """Prints the logs of each tenth of the epochs, of the last, and of one that ends 10 seconds after the last line.

    Within an epoch it prints a line each 60 seconds.
    """

    def __init__(self):
        super().__init__()
        self._told = time.monotonic()
        self._epoch, self._pending = 0, ""

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self._told >= _WITHIN:
            self._tell(f"step {batch + 1}/{self.params.get('steps') or '?'}", logs)

    def on_epoch_end(self, epoch, logs=None):
        epochs = self.params["epochs"]
        tenth = (epoch + 1) * 10 // epochs > epoch * 10 // epochs
        if tenth or time.monotonic() - self._told >= progress.INTERVAL:
            self._tell("", logs)
        else:
            self._pending = self._line("", logs)

    def on_train_end(self, logs=None):
        if self._pending:  # stopped before its last epoch
            print(self._pending, flush=True)

    def _tell(self, step: str, logs) -> None:
        print(self._line(step, logs), flush=True)
        self._told, self._pending = time.monotonic(), ""

    def _line(self, step: str, logs) -> str:
        values = [f"{name}: {float(value):.4g}" for name, value in (logs or {}).items()]
        return " - ".join([f"Epoch {self._epoch + 1}/{self.params['epochs']}", *filter(None, [step]), *values])
