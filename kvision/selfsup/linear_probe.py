"""The linear probe: what a linear classifier can read off frozen features, at the learning rate that suits them."""

import functools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kvision import checks, data, distribute, training
from kvision.heads.converters.linear import linear_arrays, linear_layer, standardizer
from kvision.metrics import accuracy_interval
from kvision.schedules import Cosine
from kvision.selfsup.inputs import feature_rows, label_rows

__all__ = ["Heads", "LinearProbe", "linear_probe"]

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_WIDER = 3  # learning rates that are added at a time
_TUNING = 0.2
_STEPS = 16  # of an epoch at least. 300 digits, 30 epochs: .588 in batches of 256, .619 of 32; L-BFGS reaches .627
_COSINE = Cosine()


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier on features, for `kv.transfer.attach(encoder, probe)`.

    Attributes:
        accuracy: Share of the held-out rows that it classifies right.
        interval: The 95 % interval of the accuracy.
        rate: The learning rate that was chosen.
        tuned: The accuracy at each learning rate, on the training rows that were kept apart for the choice. Empty if
            one rate was given.
        kernel: `(features, classes)` float32, for features that are not standardized.
        bias: `(classes,)` float32.
        center: `(features,)` float32, subtracted from the features first; 0 but for columns far from 0.
    """

    accuracy: float
    interval: tuple[float, float]
    rate: float
    tuned: dict[float, float]
    kernel: np.ndarray
    bias: np.ndarray
    center: np.ndarray

    def to_layer(self) -> keras.layers.Layer:
        """A trainable layer: features (B, D) -> probabilities (B, C) float32."""
        return linear_layer(self.kernel, self.bias, self.center)


def linear_probe(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    features: np.ndarray,
    truth: np.ndarray,
    *,
    rates: Sequence[float] | None = None,
    epochs: int = 30,
    batch_size: int = 256,
    seed: int = 0,
) -> LinearProbe:
    """Trains softmax regression on features, at the learning rate that suits them, and tests it.

    The protocol is the linear probe of MAE with two differences. SGD takes the place of LARS, which is for batches of
    thousands. Features are standardized by all training rows and not by the running statistics of BatchNorm; a
    dimension without variance becomes 0. Momentum is .9, the learning rate falls along a cosine to 0, weights begin at
    0 and do not decay.

    One learning rate for all encoders would measure its luck: published probes of one task take .3 (SwAV) and 30
    (MoCo), and wide features need less than narrow ones. So several learning rates train at once on 80 % of each class.
    The one with the highest accuracy on the other 20 % is chosen, of equals the lowest, and trained again on all rows.
    While the best is the lowest or the highest that was tried, three more beyond it are tried, until none of these is
    better.

    Args:
        train_features: `(n, features)` float.
        train_labels: `(n,)` integers from 0.
        features: `(m, features)` float, the rows to test on.
        truth: `(m,)` integers from 0, the labels of `features`.
        rates: Learning rates to try, and no others. If None, .001 to 1 and what lies beyond, as said above.
        epochs: Passes over the training rows.
        batch_size: Rows in a step. Of few rows batches are smaller, so that an epoch has 16 steps.
        seed: Of the order of the rows, and of the choice of the 20 %.

    Returns:
        The probe, with its accuracy on `features`.

    Raises:
        kvision.UserError: If a learning rate is not positive, there is one class, a class has a single row, or the
            features do not fit or are not finite.

    References:
        He et al. 2021, arXiv 2111.06377, appendix A.1.
    """
    x = feature_rows("train_features", train_features)
    y = label_rows("train_labels", train_labels, len(x))
    held_out = feature_rows("features", features, x.shape[1])
    truth = label_rows("truth", truth, len(held_out))
    grid = sorted({float(rate) for rate in (RATES if rates is None else rates)})
    if not grid or not 0 < grid[0] <= grid[-1] < np.inf:
        raise checks.error("rates", expected="learning rates above 0", received=grid)
    if epochs < 1:
        raise checks.error("epochs", expected="a count of at least 1", received=epochs)
    if len(np.unique(y)) < 2:
        raise checks.error("train_labels", expected="at least two classes", received=f"class {y[0]} alone")

    def trained(rows: np.ndarray, rates: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        scaler = standardizer(x[rows])
        heads = Heads(x.shape[1], int(y.max()) + 1, rates)
        batch = min(batch_size, max(1, len(rows) // _STEPS))
        heads.train(scaler.transform(x[rows]), y[rows], epochs=epochs, batch_size=batch, seed=seed)
        return [linear_arrays(kernel.T, bias, scaler) for kernel, bias in heads.arrays()]

    tuned: dict[float, float] = {}

    def best() -> float:  # of equals the first: the lowest, and none that widening adds
        return max(tuned, key=lambda rate: tuned[rate], default=grid[0])

    if len(grid) > 1:
        # a number a row in place of its content: two copies of an image on both sides matter little to a choice of
        # a few rates, and equal features, which a collapsed encoder gives, could not be parted
        fit, tune = data.split(y, [f"{row:09}" for row in range(len(y))], fraction=_TUNING, seed=seed)
        more = grid
        while more:
            before = max(tuned.values(), default=0.0)
            for rate, arrays in zip(more, trained(fit, more), strict=True):
                tuned[rate] = _accuracy(x[tune], y[tune], *arrays)
            widens = rates is None and before < tuned[best()] < 1
            more = _beyond(best(), tuned) if widens else []
    rate = best()
    (arrays,) = trained(np.arange(len(x)), [rate])
    accuracy = _accuracy(held_out, truth, *arrays)
    interval = accuracy_interval(round(accuracy * len(truth)), len(truth))
    return LinearProbe(accuracy, interval, rate, dict(sorted(tuned.items())), *arrays)


def _beyond(best: float, tried: Collection[float]) -> list[float]:
    """Learning rates below the best or above it, about three times apart, if it is the lowest or highest so far."""
    sign = -1 if best == min(tried) else 1 if best == max(tried) else 0
    exponent = round(2 * math.log10(best))
    steps = (exponent + sign * step for step in range(1, _WIDER + 1)) if sign else ()
    return sorted(float(f"{(1, 3)[step % 2]}e{step // 2}") for step in steps)


def _accuracy(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, bias: np.ndarray, center: np.ndarray) -> float:
    return float((((x - center) @ kernel + bias).argmax(axis=1) == y).mean())


class Heads:
    """Softmax classifiers side by side on the same features, one a learning rate: one pass over the data serves all.

    Their losses are added, and no weight belongs to two heads, so that each trains as if it were alone.
    width: D. classes: C. rates: of each head, R of them.
    """

    def __init__(self, width: int, classes: int, rates: Sequence[float]):
        # One layer holds all heads. A loss times a learning rate moves a head as this learning rate does.
        feature = keras.Input((width,), name="feature")
        logits = keras.layers.Dense(len(rates) * classes, kernel_initializer="zeros", dtype="float32")(feature)
        self.model = keras.Model(feature, ops.reshape(logits, (-1, len(rates), classes)), name="heads")
        loss = functools.partial(_summed_cross_entropy, weights=np.array(rates, "float32"))
        self.model.compile(keras.optimizers.SGD(1.0, momentum=0.9), loss, auto_scale_loss=False)
        self.model.optimizer.build(self.model.trainable_variables)  # so that there is a state before the first step
        self._shape = (len(rates), classes)

    def train(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        epochs: int,
        batch_size: int,
        seed: int,
        first_epoch: int = 0,
        factor: Callable[[float], float] = _COSINE.factor,
    ) -> None:
        """x: (N, D) float32, y: (N,) int32. factor: of the rates, by the progress in [0, 1). first_epoch: the order of
        the rows follows from it and the seed."""
        pace = training.PhaseRate(factor, first_epoch=first_epoch, epochs=epochs)
        training.fit(
            self.model,
            (x, y),
            epochs=first_epoch + epochs,
            initial_epoch=first_epoch,
            batch_size=batch_size,
            seed=seed,
            callbacks=[pace],
            verbose=0,
        )

    def arrays(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernel (D, C) and bias (C,) of each head."""
        kernel, bias = (distribute.read(variable) for variable in self.model.trainable_variables)
        return list(zip(kernel.reshape(-1, *self._shape).swapaxes(0, 1), bias.reshape(self._shape), strict=True))

    @property
    def state(self) -> list[np.ndarray]:
        """All weights and all that the optimizer keeps."""
        return [distribute.read(variable) for variable in self._variables()]

    @state.setter
    def state(self, arrays: Sequence[np.ndarray]) -> None:
        for variable, array in zip(self._variables(), arrays, strict=True):
            distribute.write(variable, array)

    def _variables(self) -> list:
        return [*self.model.variables, *self.model.optimizer.variables]


def _summed_cross_entropy(labels, logits, weights):
    """labels (B,), logits (B, R, C), weights (R,) -> (B,): the weighted sum over the heads."""
    chosen = ops.reshape(ops.cast(labels, "int32"), (-1, 1, 1))
    losses = -ops.take_along_axis(ops.log_softmax(logits, axis=-1), chosen, axis=2)[:, :, 0]
    return ops.sum(losses * weights, axis=1)
