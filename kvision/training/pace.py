"""Whether the input pipeline keeps up with the model."""

import sys
import threading
import time

import keras
from tqdm import tqdm

__all__ = ["Pace"]

_SHARE = 0.25  # of an epoch spent waiting that is worth a message
_SECONDS = 1.0  # of waiting in an epoch; less is nobody's loss
_STEPS = 4  # fewer say little: the first one traces, and fills the pipeline


class Pace(keras.callbacks.Callback):
    """Names, at the end of an epoch, a pipeline that starves the model, with the rates of both.

    rows: of a batch on all replicas. parts: elements of the pipeline in a step (one a local replica). What a step waits
    for is the time from its beginning until its last part left the pipeline. share: of the epoch, after each epoch.
    """

    def __init__(self, rows: int, parts: int = 1):
        super().__init__()
        self._rows, self._parts, self.share = rows, parts, 0.0
        self._lock = threading.Lock()
        self._stamps: dict[int, list[float]] = {}  # Keras may begin a pass before the training
        self._steps: list[tuple[float, float]] = []

    def taken(self, iteration: int) -> None:
        """A part left the pipeline; called from its threads. iteration: which pass through the data it belongs to."""
        with self._lock:
            self._stamps.setdefault(iteration, []).append(time.perf_counter())

    def on_epoch_begin(self, epoch, logs=None):
        with self._lock:
            self._stamps = {}
        self._steps = []

    def on_train_batch_begin(self, batch, logs=None):
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._steps.append((self._began, time.perf_counter()))

    def on_epoch_end(self, epoch, logs=None):
        with self._lock:  # Keras begins a pass more than it needs
            stamps = max(self._stamps.values(), key=len, default=[])[self._parts - 1 :: self._parts]
        waiting = working = 0.0
        for (began, ended), left in list(zip(self._steps, stamps, strict=False))[1:]:
            ready = min(max(began, left), ended)
            waiting, working = waiting + ready - began, working + ended - ready
        if len(self._steps) <= _STEPS or not working:
            return
        self.share = waiting / (waiting + working)
        if self.share > _SHARE and waiting > _SECONDS:
            rows = self._rows * (min(len(self._steps), len(stamps)) - 1)
            tqdm.write(
                f"Epoch {epoch + 1}: the input pipeline starves the model: {rows / (waiting + working):.0f} images/s "
                f"come, and the model alone takes {rows / working:.0f}; {self.share:.0%} of the time it waits. Smaller "
                "files, a store of decoded pixels or more cores help.",
                file=sys.stderr,
            )
