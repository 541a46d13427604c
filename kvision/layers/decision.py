"""Scores of a classifier become probabilities."""

import keras
import numpy as np
from keras import ops

from kvision import checks

__all__ = ["Decision"]


def _softmax(scores):
    return ops.softmax(_both(scores), axis=1)


def _sigmoids(scores):
    """One sigmoid for each class, divided by their sum; in logarithms, since all of them can underflow."""
    return _softmax(scores) if scores.shape[1] == 1 else ops.softmax(ops.log_sigmoid(scores), axis=1)


def _clipped(scores):
    """The modified Huber loss: (clip(score, -1, 1) + 1) / 2, divided by the sum; uniform where all are 0."""
    shares = (ops.clip(scores, -1, 1) + 1) / 2
    if scores.shape[1] == 1:
        return ops.concatenate([1 - shares, shares], axis=1)
    total = ops.sum(shares, axis=1, keepdims=True)
    return ops.where(total == 0, 1 / scores.shape[1], shares / ops.where(total == 0, 1.0, total))


def _votes(scores):
    """Of scores for each pair of classes: votes, and the summed scores to break ties (scikit-learn's "ovr" shape)."""
    classes = _classes_of(scores.shape[1])
    index, sign = np.zeros((classes, classes), "int32"), np.zeros((classes, classes), "float32")
    first, second = np.triu_indices(classes, 1)
    index[first, second] = index[second, first] = np.arange(len(first))
    sign[first, second], sign[second, first] = 1, -1
    won = ops.reshape(ops.take(scores, index.ravel(), axis=1), (-1, classes, classes)) * sign
    votes = ops.where(sign > 0, ops.cast(won >= 0, "float32"), ops.cast(won > 0, "float32"))
    confidence = ops.sum(won, axis=2)
    return ops.softmax(ops.sum(votes, axis=2) + confidence / (3 * (ops.abs(confidence) + 1)), axis=1)


def _both(scores):
    """One score, for the second of two classes: the first gets 0."""
    return ops.concatenate([ops.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores


def _classes_of(pairs: int) -> int:
    return round((1 + (1 + 8 * pairs) ** 0.5) / 2)


_RULES = {"softmax": _softmax, "sigmoids": _sigmoids, "clipped": _clipped, "votes": _votes}


@keras.saving.register_keras_serializable(package="kvision")
class Decision(keras.layers.Layer):
    """Turns scores `(batch, classes)` into probabilities `(batch, classes)`.

    One column is the score of the second of two classes, as scikit-learn's `decision_function` gives it.

    Args:
        rule: "softmax"; "sigmoids", one sigmoid for each class, divided by their sum; "clipped", the probabilities of
            the modified Huber loss; "votes", the softmax of scikit-learn's one-against-rest scores, computed from one
            score for each pair of classes.

    References:
        Zadrozny and Elkan 2002, Transforming classifier scores into accurate multiclass probability estimates, KDD.
    """

    def __init__(self, rule: str, *, name: str | None = None, dtype="float32", trainable: bool = True):
        super().__init__(name=name, dtype="float32", trainable=trainable)
        self.rule = checks.one_of("rule", rule, _RULES)
        self.built = True

    def call(self, scores):
        return _RULES[self.rule](scores)

    def compute_output_shape(self, input_shape):
        columns = input_shape[1]
        return (input_shape[0], _classes_of(columns) if self.rule == "votes" else max(columns, 2))

    def get_config(self):
        return {"rule": self.rule, "name": self.name}
