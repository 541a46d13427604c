"""The contract of every head: a scikit-learn classifier with `to_layer()`."""

from abc import ABC, abstractmethod

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["Head"]

ROWS = 256  # a batch of predict_proba: enough to fill the cores, little enough to hold beside a large bank


class Head(ClassifierMixin, BaseEstimator, ABC):
    """A classifier on features (N, D), learned by scikit-learn, kept as plain arrays, computed by a Keras layer.

    Features are taken as float32. `classes_` holds the sorted labels (strings or integers); the learned arrays end in
    `_` and are all that `predict` needs, so a head is saved without code (`kv.heads.save`).
    """

    def fit(self, X, y):
        """X: (N, D); y: (N,) labels of at least two classes. Returns self."""
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
        """Fits with scikit-learn; returns the learned arrays and counts by attribute name."""

    @abstractmethod
    def _check_learned(self) -> None:
        """Raises ValueError, AttributeError or TypeError for a state that `fit` cannot have left (`kv.heads.load`)."""

    def _check_array(self, name: str, kind: str, *shape: int | None) -> np.ndarray:
        """Returns the array `name` if it is of that kind ("f", "i"), shape (None: any) and finite."""
        array = getattr(self, name)
        same = np.ndim(array) == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if not same or array.dtype.kind != kind or array.dtype.itemsize != 4 or not np.isfinite(array).all():
            raise ValueError(f"{name} is not ({', '.join(str(n or 'N') for n in shape)}) finite numbers of 32 bits")
        return array

    def to_layer(self) -> keras.layers.Layer:
        """Creates the layer that computes `predict_proba`.

        Returns:
            A layer from features `(batch, width)` to probabilities `(batch, classes)`, float32, columns as `classes_`.

        Raises:
            sklearn.exceptions.NotFittedError: If the head is not fitted.
        """
        check_is_fitted(self)
        return self._layer()

    @abstractmethod
    def _layer(self) -> keras.layers.Layer:
        """Creates the layer of the learned arrays."""

    def predict_proba(self, X) -> np.ndarray:
        """(N, D) -> (N, C) probabilities, columns in the order of `classes_`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float32", reset=False)
        layer = self.to_layer()
        rows = [keras.ops.convert_to_numpy(layer(X[i : i + ROWS])) for i in range(0, len(X), ROWS)]
        return np.concatenate(rows)

    def predict(self, X) -> np.ndarray:
        """(N, D) -> (N,) labels; of equally probable classes the first."""
        columns = self.predict_proba(X).argmax(axis=1)
        return self.classes_[columns]
