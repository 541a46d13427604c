"""Losses for coloring: the error of a predicted chroma, and the cross entropy of bins of chroma."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kvision import checks
from kvision.ops import chroma_bins

__all__ = ["ChromaBinLoss", "ChromaLoss", "chroma_bin_losses", "chroma_losses"]


def chroma_losses(truth, chroma, *, delta: float | None = 0.1):
    """Computes the mean error of a predicted chroma for each image.

    Args:
        truth: The true chroma and a weight for each pixel, `(batch, height, width, 3)` or `(batch, n, 3)`: Cb and Cr
            scaled to [-1, 1], and a weight of at least 0. If it is larger than `chroma` by a whole factor, means of its
            pixels are compared.
        chroma: `(batch, h, w, 2)` or `(batch, n, 2)` scaled chroma.
        delta: Errors below this number count squared, and larger ones linearly (Huber). None squares all errors. Rare
            saturated colors have large errors, and would otherwise decide the loss.

    Returns:
        `(batch,)` losses, float32: the weighted mean over the pixels of the sum over Cb and Cr. The loss is 0 if all
        weights of an image are 0.

    Raises:
        UserError: If the shapes do not fit, or `delta` is not positive.

    Example:
        >>> truth = np.array([0.5, 0.0, 1.0]).reshape(1, 1, 1, 3)
        >>> kv.losses.chroma_losses(truth, np.zeros((1, 1, 1, 2)), delta=None).numpy()
        array([0.125], dtype=float32)

    References:
        Huber 1964, "Robust estimation of a location parameter"; Zhang et al. 2017, arXiv 1705.02999, section 3.1.
    """
    checks.positive({"delta": delta})
    target, weight = _target(truth, chroma)
    wrong = ops.abs(target - ops.cast(chroma, "float32"))
    error = 0.5 * wrong**2
    if delta is not None:
        error = ops.where(wrong <= delta, error, delta * (wrong - 0.5 * delta))
    return _mean(ops.sum(error, axis=-1), weight)


def chroma_bin_losses(truth, scores, centers, *, weights: Sequence[float] | None = None, cell=chroma_bins.CELL):
    """Computes the mean cross entropy between the scores of bins and the soft labels of the true chroma.

    Args:
        truth: As in `chroma_losses`.
        scores: `(batch, h, w, bins)` or `(batch, n, bins)` logits.
        centers: `(bins, 2)`, the result of `kv.ops.chroma_bins.centers`.
        weights: Weight of each bin, such as those of `kv.ops.chroma_bins.bin_weights`. A pixel has the weight of the
            bin that is nearest to its true chroma. If None, all bins have the weight 1.
        cell: Side of a bin.

    Returns:
        `(batch,)` losses, float32. The weights of the bins do not appear in the denominator of the mean: they have a
        mean of 1 over the training set, and an image of rare colors has to count more. The loss is 0 if all weights of
        an image are 0.

    Raises:
        UserError: If the shapes do not fit.

    References:
        Zhang, Isola and Efros 2016, arXiv 1603.08511, equations 2 and 3.
    """
    if scores.shape[-1] != len(centers) or (weights is not None and len(weights) != len(centers)):
        received = (scores.shape[-1], len(centers), None if weights is None else len(weights))
        raise checks.UserError("scores", expected="one score and one weight for each bin", received=received)
    target, weight = _target(truth, scores)
    labels = chroma_bins.soft_labels(target, centers, cell=cell)
    entropy = -ops.sum(labels * ops.log_softmax(ops.cast(scores, "float32"), axis=-1), axis=-1)
    if weights is not None:
        entropy = entropy * ops.take(ops.convert_to_tensor(weights, "float32"), ops.argmax(labels, axis=-1), axis=0)
    return _mean(entropy, weight)


@keras.saving.register_keras_serializable(package="kvision")
class ChromaLoss(keras.losses.Loss):
    """The Keras loss of a predicted chroma: the mean of `chroma_losses` over the images.

    Args:
        delta: See `chroma_losses`.
        name: Name of the loss.
    """

    def __init__(self, *, delta: float | None = 0.1, name: str = "chroma_loss"):
        super().__init__(name=name)
        self.delta = delta

    def call(self, y_true, y_pred):
        return chroma_losses(y_true, y_pred, delta=self.delta)

    def get_config(self):
        return {"delta": self.delta, "name": self.name}


@keras.saving.register_keras_serializable(package="kvision")
class ChromaBinLoss(keras.losses.Loss):
    """The Keras loss of scores of bins: the mean of `chroma_bin_losses` over the images.

    Args:
        standard: The standard of the chroma, `"bt601"`, `"bt709"` or `"bt2020"`.
        weights: Weight of each bin, or None.
        cell: Side of a bin.
        name: Name of the loss.
    """

    def __init__(
        self,
        standard: str = "bt601",
        *,
        weights: Sequence[float] | None = None,
        cell: float = chroma_bins.CELL,
        name: str = "chroma_bin_loss",
    ):
        super().__init__(name=name)
        self.standard, self.cell = standard, cell
        self.weights = None if weights is None else np.asarray(weights, "float32").tolist()
        self._centers = chroma_bins.centers(standard, cell=cell)

    def call(self, y_true, y_pred):
        return chroma_bin_losses(y_true, y_pred, self._centers, weights=self.weights, cell=self.cell)

    def get_config(self):
        own = {"standard": self.standard, "weights": self.weights, "cell": self.cell}
        return {**own, "name": self.name}


def _target(truth, predicted):
    """Returns the true chroma `(..., 2)` and the weights `(...)` in the size of the prediction."""
    fits = len(truth.shape) == len(predicted.shape) and truth.shape[-1] == 3
    sides = list(zip(truth.shape[1:-1], predicted.shape[1:-1], strict=True)) if fits else []
    factors = {a / b for a, b in sides if a and b}
    if not fits or len(factors) > 1 or any(not factor.is_integer() for factor in factors):
        raise checks.UserError(
            "truth",
            expected=f"chroma and weight (..., 3), in the size of the prediction {tuple(predicted.shape)} or larger by "
            "a whole factor",
            received=tuple(truth.shape),
        )
    truth = ops.cast(truth, "float32")
    target, weight = truth[..., :2], truth[..., 2:]
    if factors and (factor := int(factors.pop())) > 1:
        total = ops.average_pool(target * weight, factor, data_format="channels_last")
        weight = ops.average_pool(weight, factor, data_format="channels_last")
        target = total / ops.maximum(weight, 1e-6)
    return target, weight[..., 0]


def _mean(values, weight):
    """Returns the weighted mean `(batch,)` over all pixels of each image."""
    rows = (-1, int(np.prod(values.shape[1:]))) if None not in values.shape[1:] else (ops.shape(values)[0], -1)
    values, weight = ops.reshape(values, rows), ops.reshape(weight, rows)
    return ops.sum(values * weight, axis=-1) / ops.maximum(ops.sum(weight, axis=-1), 1e-6)
