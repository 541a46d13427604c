"""The linear probe: what a linear classifier can read off frozen features, at the learning rate that suits them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from sklearn.preprocessing import StandardScaler

from kvision import checks, data, distribute, training
from kvision.heads.convert import linear_arrays, linear_layer
from kvision.metrics import accuracy_interval
from kvision.schedules import Cosine
from kvision.selfsup.inputs import feature_rows, label_rows

__all__ = ["Heads", "LinearProbe", "linear_probe"]

RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_TUNING = 0.2
_STEPS = 16  # of an epoch at least. 300 digits, 30 epochs: .588 in batches of 256, .619 of 32; L-BFGS reaches .627
_COSINE = Cosine()


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier on features, for `kv.transfer.attach(encoder, probe)`.

    accuracy: on the held-out rows, with its 95 % interval. rate: chosen by `tuned`, the accuracies by rate on the rows
    that were kept out of training for this; empty where one rate was given. kernel: (D, C), bias: (C,) float32, of
    features as they are: their standardization is folded in.
    """

    accuracy: float
    interval: tuple[float, float]
    rate: float
    tuned: dict[float, float]
    kernel: np.ndarray
    bias: np.ndarray

    def to_layer(self) -> keras.layers.Layer:
        """A Dense layer: features (B, D) -> probabilities (B, C) float32."""
        return linear_layer(self.kernel, self.bias)


def linear_probe(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    features: np.ndarray,
    truth: np.ndarray,
    *,
    rates: Sequence[float] = RATES,
    epochs: int = 30,
    batch_size: int = 256,
    seed: int = 0,
) -> LinearProbe:
    """Trains softmax regression on features (N, D) with labels (N,) int from 0, judges it on `features`, `truth`.

    Standardized features, momentum .9, a cosine down to 0 and no decay, as the linear probe of He et al. 2021 (arXiv
    2111.06377, appendix A.1), with SGD in place of LARS, which is for batches of thousands; the statistics are those
    of all training rows in place of BatchNorm's running ones, and a dimension without variance is left at 0. Published
    probes of one task take rates from .3 to 30 (SwAV, MoCo), so that one rate for all encoders measures its luck: all
    `rates` train at once on 80 % of each class, the best on the rest is chosen (of equals the lowest) and trained again
    on all rows. Weights begin at 0. Of few rows batches are smaller than `batch_size`, so that an epoch has 16 steps.
    Raises UserError for rates that are not positive, one class, classes with a single row, and features that do not
    fit or are not finite.
    """
    x = feature_rows("train_features", train_features)
    y = label_rows("train_labels", train_labels, len(x))
    held_out = feature_rows("features", features, x.shape[1])
    truth = label_rows("truth", truth, len(held_out))
    rates = sorted({float(rate) for rate in rates})
    if not rates or not 0 < rates[0] <= rates[-1] < np.inf:
        raise checks.error("rates", expected="learning rates above 0", received=rates)
    if epochs < 1:
        raise checks.error("epochs", expected="a count of at least 1", received=epochs)
    if len(np.unique(y)) < 2:
        raise checks.error("train_labels", expected="at least two classes", received=f"class {y[0]} alone")

    def trained(rows: np.ndarray, rates: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
        scaler = StandardScaler().fit(x[rows])
        heads = Heads(x.shape[1], int(y.max()) + 1, rates)
        batch = min(batch_size, max(1, len(rows) // _STEPS))
        heads.train(scaler.transform(x[rows]), y[rows], epochs=epochs, batch_size=batch, seed=seed)
        return [linear_arrays(kernel.T, bias, scaler) for kernel, bias in heads.arrays()]

    tuned: dict[float, float] = {}
    if len(rates) > 1:
        # a number a row in place of its content: two copies of an image on both sides matter little to a choice of
        # seven rates, and equal features, which a collapsed encoder gives, could not be parted
        fit, tune = data.split(y, [f"{row:09}" for row in range(len(y))], fraction=_TUNING, seed=seed)
        tuned = {
            rate: _accuracy(x[tune], y[tune], kernel, bias)
            for rate, (kernel, bias) in zip(rates, trained(fit, rates), strict=True)
        }
    rate = max(tuned, key=lambda rate: tuned[rate]) if tuned else rates[0]
    ((kernel, bias),) = trained(np.arange(len(x)), [rate])
    accuracy = _accuracy(held_out, truth, kernel, bias)
    interval = accuracy_interval(round(accuracy * len(truth)), len(truth))
    return LinearProbe(accuracy, interval, rate, tuned, kernel, bias)


def _accuracy(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> float:
    return float(((x @ kernel + bias).argmax(axis=1) == y).mean())


class Heads:
    """Softmax classifiers side by side on the same features, one a learning rate: one pass over the data serves all.

    Their losses are added, and none has a weight in common with another, so that each trains as if it were alone.
    width: D. classes: C. rates: of each head, R of them.
    """

    def __init__(self, width: int, classes: int, rates: Sequence[float]):
        feature, outputs = keras.Input((width,), name="feature"), []
        for index in range(len(rates)):
            options = {"kernel_initializer": "zeros", "dtype": "float32", "name": f"head_{index}"}
            outputs.append(keras.layers.Dense(classes, **options)(feature))
        self.model = keras.Model(feature, ops.stack(outputs, axis=1), name="heads")
        self.optimizer = training.SGD(1.0, momentum=0.9)
        self.optimizer.build(self.model.trainable_variables)
        self.optimizer.activate(self.model.trainable_variables, np.repeat(rates, 2))  # a kernel and a bias each
        self.model.compile(self.optimizer, _summed_cross_entropy, auto_scale_loss=False)

    def train(
        self, x: np.ndarray, y: np.ndarray, *, epochs: int, batch_size: int, seed: int, first_epoch: int = 0,
        factor: Callable[[float], float] = _COSINE.factor,
    ) -> None:  # fmt: skip
        """x: (N, D) float32, y: (N,) int32. factor: of the rates, by the progress in [0, 1). first_epoch: the order of
        the rows follows from it and the seed."""
        pace = training.PhaseRate(factor, first_epoch=first_epoch, epochs=epochs)
        training.fit(
            self.model, (x, y), epochs=first_epoch + epochs, initial_epoch=first_epoch, batch_size=batch_size,
            seed=seed, callbacks=[pace], verbose=0,
        )  # fmt: skip

    def arrays(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernel (D, C) and bias (C,) of each head."""
        values = [distribute.read(variable) for variable in self.model.trainable_variables]
        return list(zip(values[::2], values[1::2], strict=True))

    @property
    def state(self) -> list[np.ndarray]:
        """All weights and all that the optimizer keeps."""
        return [distribute.read(variable) for variable in self._variables()]

    @state.setter
    def state(self, arrays: Sequence[np.ndarray]) -> None:
        for variable, array in zip(self._variables(), arrays, strict=True):
            distribute.write(variable, array)

    def _variables(self) -> list:
        return [*self.model.variables, *self.optimizer.variables]


def _summed_cross_entropy(labels, logits):
    """labels (B,), logits (B, R, C) -> (B,): the sum over the heads."""
    chosen = ops.reshape(ops.cast(labels, "int32"), (-1, 1, 1))
    return -ops.sum(ops.take_along_axis(ops.log_softmax(logits, axis=-1), chosen, axis=2)[:, :, 0], axis=1)
