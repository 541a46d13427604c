"""Turns the scores of a classifier into probabilities."""

import keras
import numpy as np
from keras import ops

from kvision import checks

__all__ = ["Decision"]


def _softmax(scores):
    return ops.softmax(_both(scores), axis=1)


def _sigmoids(scores):
    """Returns the sigmoid of each class divided by their sum. Logarithms avoid that all sigmoids underflow."""
    return _softmax(scores) if scores.shape[1] == 1 else ops.softmax(ops.log_sigmoid(scores), axis=1)


def _clipped(scores):
    """Returns (clip(score, -1, 1) + 1) / 2, divided by the sum over classes. If the sum is 0, returns equal values."""
    shares = (ops.clip(scores, -1, 1) + 1) / 2
    if scores.shape[1] == 1:
        return ops.concatenate([1 - shares, shares], axis=1)
    total = ops.sum(shares, axis=1, keepdims=True)
    return ops.where(total == 0, 1 / scores.shape[1], shares / ops.where(total == 0, 1.0, total))


def _votes(scores):
    """Returns the softmax of the votes of all pairs. Summed scores break ties, as in scikit-learn's "ovr" scores."""
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
    """Adds a score of 0 for the first class if there is only a score for the second class."""
    return ops.concatenate([ops.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores


def _classes_of(pairs: int) -> int:
    return round((1 + (1 + 8 * pairs) ** 0.5) / 2)


_RULES = {"softmax": _softmax, "sigmoids": _sigmoids, "clipped": _clipped, "votes": _votes}


@keras.saving.register_keras_serializable(package="kvision")
class Decision(keras.layers.Layer):
    """Turns the scores of a classifier into probabilities `(batch, classes)`, in float32.

    A single column of scores is the score of the second of two classes, as in scikit-learn's `decision_function`.

    Args:
        rule: How probabilities are computed. `"softmax"`: softmax of the scores `(batch, classes)`. `"sigmoids"`: a
            sigmoid for each class, divided by the sum over classes. `"clipped"`: the probabilities of the modified
            Huber loss. `"votes"`: the softmax of scikit-learn's one-against-rest scores. They are computed from one
            score for each pair of classes, `(batch, classes * (classes - 1) / 2)`.
        name: Name of the layer.

    Raises:
        UserError: If the rule is unknown.

    Example:
        >>> scores = np.array([[0.0], [2.0]])
        >>> np.asarray(kv.layers.Decision("clipped")(scores)).tolist()
        [[0.5, 0.5], [0.0, 1.0]]

    References:
        Zadrozny and Elkan 2002, Transforming classifier scores into accurate multiclass probability estimates, KDD.
    """

    def __init__(self, rule: str, *, name: str | None = None):
        super().__init__(name=name, dtype="float32")
        self.rule = checks.one_of("rule", rule, _RULES)
        self.built = True

    def call(self, scores):
        return _RULES[self.rule](scores)

    def compute_output_shape(self, input_shape):
        columns = input_shape[1]
        return (input_shape[0], _classes_of(columns) if self.rule == "votes" else max(columns, 2))

    def get_config(self):
        return {"rule": self.rule, "name": self.name}
