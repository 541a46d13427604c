"""The linear probe: the accuracy of a linear classifier on frozen features."""

import functools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kvision import checks, data, training
from kvision.distribute.values import read, write
from kvision.heads.converters.linear import linear_arrays, linear_layer, standardizer
from kvision.metrics import accuracy_interval
from kvision.schedules import Cosine
from kvision.selfsup.inputs import feature_rows, label_rows

__all__ = ["Heads", "LinearProbe", "linear_probe"]

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_WIDER = 3  # Number of learning rates that are added at a time.
_VALIDATION = 0.2  # Share of the training rows on which the learning rate is chosen.
# Smallest number of steps per epoch. On 300 digits, 30 epochs reach an accuracy of .588 with batches of 256, and .619
# with batches of 32. L-BFGS reaches .627.
_STEPS = 16
_COSINE = Cosine()


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier on features, for `kv.transfer.attach(encoder, probe)`.

    Attributes:
        accuracy: Share of the test rows that the classifier predicts correctly, in [0, 1].
        interval: 95 % interval of the accuracy.
        learning_rate: The learning rate that was chosen.
        validation_accuracy: Validation accuracy of each learning rate. Empty if one learning rate was given.
        kernel: `(features, classes)` float32, for features that are not standardized.
        bias: `(classes,)` float32.
        center: `(features,)` float32, which is subtracted from the features first. It is 0, except for features with a
            mean far from 0.
    """

    accuracy: float
    interval: tuple[float, float]
    learning_rate: float
    validation_accuracy: dict[float, float]
    kernel: np.ndarray
    bias: np.ndarray
    center: np.ndarray

    def to_layer(self) -> keras.layers.Layer:
        """Converts the classifier to a trainable Keras layer.

        Returns:
            A layer from features `(batch, features)` to probabilities `(batch, classes)` float32.
        """
        return linear_layer(self.kernel, self.bias, self.center)


def linear_probe(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    *,
    learning_rates: Sequence[float] | None = None,
    epochs: int = 30,
    batch_size: int = 256,
    seed: int = 0,
) -> LinearProbe:
    """Trains softmax regression on features and measures its test accuracy.

    The protocol is MAE's linear probe with two differences. The optimizer is SGD, because LARS is meant for batches of
    thousands. Features are standardized by the statistics of all training rows instead of the running statistics of
    BatchNorm. A feature without variance becomes 0. The momentum is 0.9, and the learning rate falls along a cosine to
    0. The weights start at 0, and there is no weight decay.

    The learning rate is chosen from the data, because one value cannot suit all encoders. For the same task, published
    probes use 0.3 (SwAV) and 30 (MoCo). Wide features need a lower learning rate than narrow features. Several learning
    rates train at the same time on 80 % of each class. The learning rate with the highest accuracy on the other 20 %
    (validation) is taken. If several are equal, the lowest of them is taken. As long as the best learning rate is the
    lowest or the highest one that was tried, three more beyond it are tried. The classifier is then trained again on
    all training rows.

    Args:
        train_features: Features `(n, features)`.
        train_labels: `(n,)` integers from 0.
        test_features: Features `(m, features)`.
        test_labels: `(m,)` integers from 0.
        learning_rates: The learning rates to try. Only these are tried. If None, values from 0.001 to 1 are tried, and
            more beyond them as described above.
        epochs: Number of passes over the training rows.
        batch_size: Number of rows per step. If there are few rows, the batches are smaller, so that an epoch has 16
            steps.
        seed: Seed of the order of the rows and of the choice of the validation rows.

    Returns:
        The classifier with its test accuracy.

    Raises:
        UserError: If a learning rate or `epochs` is not positive, there is only one class, a class has only one row,
            the shapes do not fit, or a feature is not finite.

    References:
        He et al. 2021, arXiv 2111.06377, appendix A.1.
    """
    x = feature_rows("train_features", train_features)
    y = label_rows("train_labels", train_labels, len(x))
    test_x = feature_rows("test_features", test_features, x.shape[1])
    test_y = label_rows("test_labels", test_labels, len(test_x))
    grid = sorted({float(rate) for rate in (RATES if learning_rates is None else learning_rates)})
    if not grid or not 0 < grid[0] <= grid[-1] < np.inf:
        raise checks.UserError("learning_rates", expected="one or more positive numbers", received=grid)
    checks.positive({"epochs": epochs})
    if len(np.unique(y)) < 2:
        raise checks.UserError("train_labels", expected="at least two classes", received=f"only class {y[0]}")

    def trained(rows: np.ndarray, rates: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        scaler = standardizer(x[rows])
        heads = Heads(x.shape[1], int(y.max()) + 1, rates)
        batch = min(batch_size, max(1, len(rows) // _STEPS))
        heads.train(scaler.transform(x[rows]), y[rows], epochs=epochs, batch_size=batch, seed=seed)
        return [linear_arrays(kernel.T, bias, scaler) for kernel, bias in heads.arrays()]

    tried: dict[float, float] = {}

    # `max` returns the first of several equal rates. It is the lowest rate of the grid, because added rates come last.
    def best() -> float:
        return max(tried, key=lambda rate: tried[rate], default=grid[0])

    if len(grid) > 1:
        # Row numbers are used in place of pixel hashes, because a copy of an image on both sides hardly changes the
        # choice of a learning rate. Hashes of the features would not work: a collapsed encoder gives equal features,
        # and equal features could not be split.
        train, validation = data.split(
            y, [f"{row:09}" for row in range(len(y))], fraction=_VALIDATION, seed=seed, argument="train_labels"
        )
        more = grid
        while more:
            before = max(tried.values(), default=0.0)
            for rate, arrays in zip(more, trained(train, more), strict=True):
                tried[rate] = _accuracy(x[validation], y[validation], *arrays)
            widens = learning_rates is None and before < tried[best()] < 1
            more = _beyond(best(), tried) if widens else []
    rate = best()
    (arrays,) = trained(np.arange(len(x)), [rate])
    accuracy = _accuracy(test_x, test_y, *arrays)
    interval = accuracy_interval(round(accuracy * len(test_y)), len(test_y))
    return LinearProbe(accuracy, interval, rate, dict(sorted(tried.items())), *arrays)


def _beyond(best: float, tried: Collection[float]) -> list[float]:
    """Returns learning rates beyond the best one, about three times apart, if the best one is the lowest or highest."""
    sign = -1 if best == min(tried) else 1 if best == max(tried) else 0
    exponent = round(2 * math.log10(best))
    steps = (exponent + sign * step for step in range(1, _WIDER + 1)) if sign else ()
    return sorted(float(f"{(1, 3)[step % 2]}e{step // 2}") for step in steps)


def _accuracy(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, bias: np.ndarray, center: np.ndarray) -> float:
    return float((((x - center) @ kernel + bias).argmax(axis=1) == y).mean())


class Heads:
    """Softmax classifiers that train on the same features at the same time, each with its own learning rate.

    The loss is the sum of the losses of all classifiers. The classifiers share no weights, so each classifier trains as
    if it were alone.

    Args:
        width: Number of features.
        classes: Number of classes.
        rates: The learning rate of each classifier.
    """

    def __init__(self, width: int, classes: int, rates: Sequence[float]):
        # One layer contains all classifiers. The learning rate of the optimizer is 1, and the loss of each classifier
        # is multiplied by the learning rate of the classifier. This changes the weights in the same way as a learning
        # rate of the optimizer.
        feature = keras.Input((width,), name="feature")
        logits = keras.layers.Dense(len(rates) * classes, kernel_initializer="zeros", dtype="float32")(feature)
        self.model = keras.Model(feature, ops.reshape(logits, (-1, len(rates), classes)), name="heads")
        loss = functools.partial(_summed_cross_entropy, weights=np.array(rates, "float32"))
        self.model.compile(keras.optimizers.SGD(1.0, momentum=0.9), loss, auto_scale_loss=False)
        self.model.optimizer.build(self.model.trainable_variables)  # `state` needs the variables before the first step
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
        """Trains all classifiers.

        Args:
            x: Features `(n, width)` float32.
            y: Labels `(n,)` int32.
            epochs: Number of passes over the rows.
            batch_size: Number of rows per step.
            seed: Seed of the order of the rows.
            first_epoch: Number of the first epoch. The order of the rows depends on it.
            factor: Factor of the learning rates for a progress in [0, 1).
        """
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
        """Returns the kernel `(width, classes)` and the bias `(classes,)` of each classifier."""
        kernel, bias = (read(variable) for variable in self.model.trainable_variables)
        return list(zip(kernel.reshape(-1, *self._shape).swapaxes(0, 1), bias.reshape(self._shape), strict=True))

    @property
    def state(self) -> list[np.ndarray]:
        """All weights, and the state of the optimizer."""
        return [read(variable) for variable in self._variables()]

    @state.setter
    def state(self, arrays: Sequence[np.ndarray]) -> None:
        for variable, array in zip(self._variables(), arrays, strict=True):
            write(variable, array)

    def _variables(self) -> list:
        return [*self.model.variables, *self.model.optimizer.variables]


def _summed_cross_entropy(labels, logits, weights):
    """Returns the cross entropy of each row, multiplied by the weight of each classifier and summed over them."""
    chosen = ops.reshape(ops.cast(labels, "int32"), (-1, 1, 1))
    losses = -ops.take_along_axis(ops.log_softmax(logits, axis=-1), chosen, axis=2)[:, :, 0]
    return ops.sum(losses * weights, axis=1)
