"""The contract of every head: a scikit-learn classifier with `to_layer()`."""

from abc import ABC, abstractmethod

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["Head"]

ROWS = 256  # rows per batch of predict_proba: enough to use all cores, few enough to fit in memory beside a large bank


class Head(ClassifierMixin, BaseEstimator, ABC):
    """A classifier on features `(n, width)` that scikit-learn fits and a Keras layer computes.

    Features are converted to float32. `classes_` holds the sorted labels, which are strings or integers. The names of
    the learned arrays end in `_`. `predict` needs only these arrays, so `kv.heads.save` can store a head without code.
    """

    def fit(self, X, y):
        """Fits the head on features `(n, width)` and labels `(n,)` of at least two classes, and returns the head."""
        X, y = validate_data(self, X, y, dtype="float32")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"A classifier needs at least two classes; y holds one class, {self.classes_[0]!r}.")
        for name, value in self._learn(X, codes.astype("int32")).items():
            setattr(self, name, value)
        return self

    @abstractmethod
    def _learn(self, X: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray | int]:
        """Fits with scikit-learn and returns a dictionary from attribute name to learned array or count."""

    @abstractmethod
    def _check_learned(self) -> None:
        """Raises ValueError, AttributeError or TypeError if the layer cannot use the learned arrays."""

    def _check_array(self, name: str, kind: str, *shape: int | None, below: int | None = None) -> None:
        """Raises unless the array `name` is finite and has the given kind ("f" or "i"), shape (None: any) and range."""
        array = getattr(self, name)
        same = np.ndim(array) == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if not same or array.dtype.kind != kind or array.dtype.itemsize != 4 or not np.isfinite(array).all():
            raise ValueError(f"{name} is not ({', '.join(str(n or 'N') for n in shape)}) finite numbers of 32 bits")
        # A graph with an index out of range fails at the first image, or reads unrelated memory.
        if below is not None and (array.min() < 0 or array.max() >= below):
            raise ValueError(f"{name} are not indices of {below}")

    def to_layer(self) -> keras.layers.Layer:
        """Creates the layer that computes `predict_proba`.

        Returns:
            A layer from features `(batch, width)` to probabilities `(batch, classes)`, float32. The columns are in the
            order of `classes_`.
        """
        check_is_fitted(self)
        return self._layer()

    @abstractmethod
    def _layer(self) -> keras.layers.Layer:
        """Creates the layer from the learned arrays."""

    def predict_proba(self, X) -> np.ndarray:
        """Returns probabilities `(n, classes)` for features `(n, width)`, with columns in the order of `classes_`."""
        layer = self.to_layer()
        X = validate_data(self, X, dtype="float32", reset=False)
        rows = [keras.ops.convert_to_numpy(layer(X[i : i + ROWS])) for i in range(0, len(X), ROWS)]
        return np.concatenate(rows)

    def predict(self, X) -> np.ndarray:
        """Returns labels `(n,)` for features `(n, width)`. Among equally probable classes the first one is chosen."""
        columns = self.predict_proba(X).argmax(axis=1)
        return self.classes_[columns]
