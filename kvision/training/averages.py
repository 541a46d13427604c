"""Puts the averages of the weights in place of the weights for every evaluation during a training."""

import contextlib
from collections.abc import Iterator

import keras

from kvision.distribute.model import overriding
from kvision.distribute.values import read, write

__all__ = ["averaged"]

# `keras.callbacks.SwapEMAWeights` does not do the same. It swaps by adding and subtracting, which rounds the weights.
# Keras overwrites the weights at the end of each `fit`, so the next phase, or the rest of an interrupted epoch, would
# continue from the averages. Before the first step, the callback swaps in averages of 0.


@contextlib.contextmanager
def averaged(model: keras.Model, *, final: bool = True) -> Iterator[tuple[list, list]]:
    """Puts the averages of an optimizer with `use_ema=True` into the model for every evaluation.

    The user's callbacks also see the averages at the end of an epoch. Statistics of normalization are not averaged.

    Args:
        model: A compiled model.
        final: Whether the averages stay in the model at the end.

    Yields:
        Callbacks to put before the user's callbacks, and callbacks to put after them. Both lists are empty if the
        optimizer keeps no averages.

    References:
        Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging.
    """
    optimizer = getattr(model, "optimizer", None)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if inner is None or not inner.use_ema:
        yield [], []
        return
    raw: list = []

    def put_in(*_) -> None:
        if not raw:
            weights, averages = inner._trainable_variables, inner._model_variables_moving_average
            raw.extend(read(v).copy() for v in weights)
            if int(read(inner.iterations)):  # Before the first step the averages are 0.
                for variable, average in zip(weights, averages, strict=True):
                    if average is not None:
                        write(variable, read(average))

    def take_out(*_) -> None:
        if raw:
            for variable, value in zip(inner._trainable_variables, raw, strict=True):
                write(variable, value)
            raw.clear()

    before = keras.callbacks.LambdaCallback(
        on_epoch_end=put_in,
        # A callback that runs after this one may replace the averages by the averages of the best epoch.
        on_train_end=put_in if final else None,
        on_test_begin=put_in,
        on_test_end=take_out,
    )
    with overriding(inner, finalize_variable_values=lambda variables: None):
        try:
            yield [before], [keras.callbacks.LambdaCallback(on_epoch_end=take_out)]
        except BaseException:
            take_out()
            raise
        if not final:
            take_out()
