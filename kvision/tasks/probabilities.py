"""What an exported model answers has to be probabilities: two classes for a sigmoid, and a refusal for logits."""

from typing import TYPE_CHECKING

import numpy as np

from kvision import checks

if TYPE_CHECKING:
    import keras

__all__ = ["check", "of_two_classes"]

_ROUNDING = 1e-3  # of a sum of thousands of float32 probabilities


def of_two_classes(model: "keras.Model") -> "keras.Model":
    """Returns a model that ends in one sigmoid p, as `Dense(1, activation="sigmoid")`, as one that answers [1 - p, p].

    The last layer of the new model reads what the last layer of the old one read. Other models are returned as they
    are.
    """
    import keras

    sigmoid = getattr(model.layers[-1], "activation", None) is keras.activations.sigmoid
    if model.output_shape[-1] != 1 or not sigmoid:
        return model

    class TwoClasses(keras.layers.Layer):
        def __init__(self, head):
            super().__init__(name="probabilities")
            self.head = head

        def call(self, feature):
            p = self.head(feature)
            return keras.ops.concatenate([1 - p, p], axis=-1)

    feature = model.layers[-1].input
    return keras.Model(model.input, TwoClasses(keras.Model(feature, model.output))(feature), name=model.name)


def check(model: "keras.Model", outputs: np.ndarray) -> None:
    """Raises UserError if outputs, with the classes on the last axis, are not probabilities."""
    low, high, sums = outputs.min(), outputs.max(), outputs.sum(axis=-1)
    if outputs.shape[-1] > 1 and low >= -_ROUNDING and np.abs(sums - 1).max() <= _ROUNDING:
        return
    raise checks.error(
        "model",
        problem=f"'{model.name}' does not answer with probabilities",
        expected="values of at least 0 whose sum over the classes is 1, or one sigmoid",
        received=f"values of {low:.3g} to {high:.3g} with sums of {sums.min():.3g} to {sums.max():.3g}",
        hint="For logits: keras.Model(model.input, keras.layers.Softmax()(model.output))",
    )
