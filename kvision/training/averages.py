"""The moving average of the weights that an optimizer keeps, in place of the weights wherever they are judged."""

import contextlib
from collections.abc import Iterator

import keras

from kvision import distribute
from kvision.distribute.model import overriding

__all__ = ["averaged"]


@contextlib.contextmanager
def averaged(model: keras.Model, *, final: bool = True) -> Iterator[tuple[list, list]]:
    """-> callbacks to stand before the user's, and behind them, which put the averages (Polyak & Juditsky 1992;
    `use_ema=True` of any Keras optimizer) into the model for every evaluation and for what the user's callbacks do at
    an epoch's end, and take them out again. final: they stay in the model when this is left.

    Keras alone judges the raw weights and overwrites them at the end of each `fit`, so that a resumed training differs
    from one that was not killed. Statistics of normalization are not averaged. No callbacks without averages.
    """
    optimizer = getattr(model, "optimizer", None)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if inner is None or not inner.use_ema:
        yield [], []
        return
    swap = _Swap(inner)
    with overriding(inner, finalize_variable_values=lambda variables: None):
        try:
            yield [_Before(swap, final)], [_After(swap)]
        except BaseException:
            swap.out()
            raise
        if not final:
            swap.out()


class _Swap:
    def __init__(self, optimizer: keras.optimizers.Optimizer):
        self.optimizer = optimizer
        self.raw: list | None = None

    def into(self) -> None:
        if self.raw is None:
            weights, averages = self.optimizer._trainable_variables, self.optimizer._model_variables_moving_average
            self.raw = [distribute.read(v).copy() for v in weights]
            if int(distribute.read(self.optimizer.iterations)):  # before the first step they are 0
                for variable, average in zip(weights, averages, strict=True):
                    if average is not None:
                        distribute.write(variable, distribute.read(average))

    def out(self) -> None:
        if self.raw is not None:
            for variable, value in zip(self.optimizer._trainable_variables, self.raw, strict=True):
                distribute.write(variable, value)
            self.raw = None


class _Before(keras.callbacks.Callback):
    def __init__(self, swap: _Swap, final: bool):
        super().__init__()
        self._swap, self._final = swap, final

    def on_test_begin(self, logs=None):
        self._swap.into()

    def on_test_end(self, logs=None):
        self._swap.out()

    def on_epoch_end(self, epoch, logs=None):
        self._swap.into()

    def on_train_end(self, logs=None):
        if self._final:
            self._swap.into()  # now, as a callback may put the best epoch's averages in their place


class _After(keras.callbacks.Callback):
    def __init__(self, swap: _Swap):
        super().__init__()
        self._swap = swap

    def on_epoch_end(self, epoch, logs=None):
        self._swap.out()
