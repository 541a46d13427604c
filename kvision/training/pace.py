"""Warns if the model waits for its data."""

import sys
import threading
import time

import keras
from tqdm import tqdm

__all__ = ["Pace"]

_SHARE = 0.25  # share of an epoch; a message is printed if the model waited for a larger share
_SECONDS = 1.0  # no message is printed for a shorter wait per epoch
_STEPS = 4  # fewer steps are not reliable: the first step traces the model and fills the pipeline


class Pace(keras.callbacks.Callback):
    """Prints a message at the end of an epoch if the model waited for data. The message compares both speeds.

    The waiting time of a step is the time from its beginning until the last part of its batch has left the pipeline.

    Args:
        rows: Number of rows per batch, for all replicas together.
        parts: Number of elements of the pipeline per step, one per local replica.

    Attributes:
        share: Share of the last epoch that was spent waiting.
    """

    def __init__(self, rows: int, parts: int = 1):
        super().__init__()
        self._rows, self._parts, self.share = rows, parts, 0.0
        self._lock = threading.Lock()
        # By number of the pass, because Keras may begin a pass before the training.
        self._stamps: dict[int, list[float]] = {}
        self._steps: list[tuple[float, float]] = []

    def taken(self, iteration: int) -> None:
        """Records that a part of pass number `iteration` left the pipeline. The threads of the pipeline call it."""
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
        with self._lock:  # Keras may begin a pass that it does not use. The longest pass counts.
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
                f"Epoch {epoch + 1}: the model waits for its data {self.share:.0%} of the time: "
                f"{rows / (waiting + working):.0f} images/s are read, and the model could take {rows / working:.0f}. "
                "Smaller files, a store of decoded pixels or more cores help.",
                file=sys.stderr,
            )
