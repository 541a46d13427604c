"""Moves boxes onto their objects by a ridge regression for each class."""

from collections.abc import Iterator

import keras
import numpy as np
from scipy import linalg
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kvision import checks
from kvision.heads.converters.contract import dense
from kvision.heads.mined_svm import norm_factor
from kvision.layers import Chain

__all__ = ["BoxRidge"]

_ROWS = 2048  # rows that are converted to float64 at once: 80 MB at 5,000 columns
_FEWEST = 2  # pairs from which a class is learned; one pair has no spread


class BoxRidge(BaseEstimator):
    """Predicts box deltas from features by one ridge regression for each class, as in R-CNN.

    The deltas of a class are centered and whitened before the fit, and the predictions are transformed back. The
    regression has a constant column for the bias, which is penalized like the other columns. The features are rescaled
    so that their mean L2 norm is 20. With a large penalty every prediction is the mean of the deltas of the class,
    because the centering is not penalized.

    All of this is folded into the learned arrays `kernel_` `(width, classes * columns)` and `bias_` `(classes,
    columns)`, float32. A class with fewer than 2 pairs has deltas of 0, which leave a box unchanged.

    This is no `Head`: it predicts deltas and no labels.

    Args:
        penalty: Weight of the squared coefficients. The default is the paper's.

    Example:
        >>> features = np.array([[0.0], [1.0], [2.0]], "float32")
        >>> deltas = features * [0.1, 0.2, 0.0, 0.0]
        >>> ridge = kv.heads.BoxRidge(penalty=0.01).fit(features, deltas, [0, 0, 0], 1)
        >>> [f"{delta:.2f}" for delta in ridge.predict(features)[2, 0]]
        ['0.20', '0.40', '0.00', '0.00']

    References:
        Girshick et al. 2014, arXiv 1311.2524, appendix C; whitening and rescaling are those of its code.
    """

    def __init__(self, penalty: float = 1000.0):
        self.penalty = penalty

    def fit(self, features: np.ndarray, deltas: np.ndarray, labels: np.ndarray, classes: int) -> "BoxRidge":
        """Fits the regressions in float64. Memory holds one matrix of `width` or fewer rows and columns at a time.

        Args:
            features: `(n, width)`, float16 or float32: the features inside each box. May be a memory-mapped file.
            deltas: `(n, 4)`, or `(n, 5)` for rotated boxes: the offsets of the object from each box, such as those of
                `kv.detection.encode`.
            labels: `(n,)`, integers from 0 to `classes` - 1: the class of the object.
            classes: Number of classes.

        Returns:
            The fitted object.

        Raises:
            UserError: If the shapes do not fit together, if a label is not a class, or if a feature or a delta is not
                finite.
        """
        checks.positive({"penalty": self.penalty, "classes": classes})
        deltas, labels = np.asarray(deltas, "float64"), np.asarray(labels)
        if deltas.ndim != 2 or deltas.shape[1] not in (4, 5) or not np.isfinite(deltas).all():
            raise checks.UserError("deltas", expected="finite numbers (n, 4) or (n, 5)", received=deltas.shape)
        if features.ndim != 2 or len(features) != len(deltas):
            raise checks.UserError("features", expected=f"({len(deltas)}, width)", received=features.shape)
        if labels.shape != (len(deltas),) or not ((labels >= 0) & (labels < classes)).all():
            expected = f"{len(deltas)} integers from 0 to {classes - 1}"
            raise checks.UserError("labels", expected=expected, received=labels)
        every = np.arange(len(features))
        norms = [np.linalg.norm(block, axis=1) for block in _blocks(features, every)]
        factor = norm_factor(np.concatenate([np.zeros(0), *norms]))
        kernel, bias = np.zeros((classes, features.shape[1], deltas.shape[1])), np.zeros((classes, deltas.shape[1]))
        for label in range(classes):
            rows = every[labels == label]
            if len(rows) >= _FEWEST:
                kernel[label], bias[label] = _fitted(features, rows, deltas[rows], factor, self.penalty)
        self.kernel_ = np.concatenate(kernel, axis=1).astype("float32")
        self.bias_ = bias.astype("float32")
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Returns the deltas of each class `(n, classes, columns)`, float32, for features `(n, width)`."""
        check_is_fitted(self)
        found = np.asarray(features, "float32") @ self.kernel_
        return found.reshape(-1, *self.bias_.shape) + self.bias_

    def to_layer(self) -> keras.layers.Layer:
        """Creates the layer that computes `predict`, float32."""
        check_is_fitted(self)
        shaped = keras.layers.Reshape(self.bias_.shape, dtype="float32")
        layer = Chain([dense(self.kernel_, self.bias_.ravel()), shaped], name="deltas")
        layer.build((None, len(self.kernel_)))
        return layer

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the learned arrays `kernel` and `bias`, such as for `np.savez`."""
        check_is_fitted(self)
        return {"kernel": self.kernel_, "bias": self.bias_}

    @classmethod
    def from_arrays(cls, kernel: np.ndarray, bias: np.ndarray) -> "BoxRidge":
        """Creates a fitted object from the result of `arrays`.

        Args:
            kernel: `(width, classes * columns)`, float32.
            bias: `(classes, columns)`, float32.

        Returns:
            The object. Its parameters have their default values.

        Raises:
            UserError: If the shapes do not fit together, or if a number is not finite.
        """
        ridge = cls()
        ridge.kernel_, ridge.bias_ = np.asarray(kernel, "float32"), np.asarray(bias, "float32")
        if ridge.kernel_.ndim != 2 or ridge.bias_.ndim != 2 or ridge.bias_.size != ridge.kernel_.shape[1]:
            received = f"{ridge.kernel_.shape} and {ridge.bias_.shape}"
            expected = "(width, classes * columns), and a bias (classes, columns)"
            raise checks.UserError("kernel", expected=expected, received=received)
        if not (np.isfinite(ridge.kernel_).all() and np.isfinite(ridge.bias_).all()):
            raise checks.UserError("kernel", expected="finite numbers, also in the bias", received="NaN or infinite")
        return ridge


def _blocks(features: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yields blocks of the given rows in float64."""
    for start in range(0, len(rows), _ROWS):
        yield np.asarray(features[rows[start : start + _ROWS]], "float64")


def _fitted(features, rows, deltas, factor: float, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel `(width, columns)` and bias `(columns,)` of one class, for raw features."""
    mean = deltas.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(deltas.T, bias=True))
    spread = np.sqrt(np.maximum(variances, 0) + 0.001)  # limits how much a direction without spread is enlarged
    targets = (deltas - mean) @ (axes / spread) @ axes.T
    blocks = (np.pad(block * factor, ((0, 0), (0, 1)), constant_values=1) for block in _blocks(features, rows))
    width = features.shape[1] + 1
    solve = _dual if len(rows) < width else _primal
    found = solve(blocks, targets, penalty, width) @ (axes * spread) @ axes.T
    return found[:-1] * factor, found[-1] + mean


def _primal(blocks: Iterator[np.ndarray], targets: np.ndarray, penalty: float, width: int) -> np.ndarray:
    """Solves `(X'X + penalty) W = X'T` for W `(width, columns)`."""
    gram, right, start = penalty * np.eye(width), np.zeros((width, targets.shape[1])), 0
    for block in blocks:
        gram += block.T @ block
        right += block.T @ targets[start : start + len(block)]
        start += len(block)
    return linalg.solve(gram, right, assume_a="pos", overwrite_a=True)


def _dual(blocks: Iterator[np.ndarray], targets: np.ndarray, penalty: float, width: int) -> np.ndarray:
    """Solves `(XX' + penalty) A = T` and returns `X'A` `(width, columns)`, which is the solution of `_primal`."""
    every = np.concatenate(list(blocks))
    gram = every @ every.T + penalty * np.eye(len(every))
    return every.T @ linalg.solve(gram, targets, assume_a="pos", overwrite_a=True)
