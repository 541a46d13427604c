"""Checks that the outputs of an exported model are probabilities, and converts one sigmoid to two classes."""

from typing import TYPE_CHECKING

import numpy as np

from kvision import checks

if TYPE_CHECKING:
    import keras

__all__ = ["check", "of_two_classes"]

_ROUNDING = 1e-3  # largest error of a sum of thousands of float32 probabilities


def of_two_classes(model: "keras.Model") -> "keras.Model":
    """Converts a model that ends in one sigmoid p to a model of two classes with the probabilities 1 - p and p.

    Args:
        model: Any model. The sigmoid is the activation of the last layer, such as `Dense(1, activation="sigmoid")`.

    Returns:
        The new model. Its last layer reads the same features as before. A model that does not end in one sigmoid is
        returned unchanged.
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
    """Checks that outputs are probabilities.

    Args:
        model: The model. Its name appears in the error.
        outputs: Its outputs for some images, with the classes on the last axis.

    Raises:
        UserError: If a value is negative or the sum over the classes is not 1.
    """
    low, high, sums = outputs.min(), outputs.max(), outputs.sum(axis=-1)
    if outputs.shape[-1] > 1 and low >= -_ROUNDING and np.abs(sums - 1).max() <= _ROUNDING:
        return
    raise checks.UserError(
        "model",
        problem=f"'{model.name}' does not answer with probabilities",
        expected="values of at least 0 whose sum over the classes is 1, or one sigmoid",
        received=f"values from {low:.3g} to {high:.3g} with sums from {sums.min():.3g} to {sums.max():.3g}",
        hint="For logits: keras.Model(model.input, keras.layers.Softmax()(model.output))",
    )
