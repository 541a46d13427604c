"""Turns the logits of classes and of edges into class probabilities with sharp edges."""

import keras
from keras import ops

from kvision import checks
from kvision.ops import diffuse

__all__ = ["EdgeFusion"]


@keras.saving.register_keras_serializable(package="kvision")
class EdgeFusion(keras.layers.Layer):
    """Turns the logits of classes and of edges into class probabilities with sharp edges.

    The layer is called with `(batch, height, width, classes + 1)`: the logits of the classes, then the logit of an
    edge. It returns the probabilities `(batch, height, width, classes)`, float32, after `kv.ops.diffuse` has spread
    them inside the regions between the edges. It has no weights, works at any size, and is exported with built-in
    TFLite operations.

    Probabilities are averaged, not logits, because one pixel with large logits would decide for its whole region.

    Args:
        steps: Number of steps of `kv.ops.diffuse`. With 0, the probabilities are those of the class logits alone.
        power: Exponent of the conductance: a pixel counts with (1 - e)^power, where e is its edge probability.
        **kwargs: Arguments of `keras.layers.Layer`: `name` and `trainable`.

    Raises:
        UserError: If `steps` is negative or `power` is not positive.

    Example:
        >>> outputs = np.zeros((1, 33, 35, 4), "float32")
        >>> tuple(kv.layers.EdgeFusion(steps=2)(outputs).shape)
        (1, 33, 35, 3)
    """

    def __init__(self, steps: int = 10, *, power: float = 1.0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
            raise checks.UserError("steps", expected="an integer of at least 0", received=steps)
        checks.positive({"power": power})
        self.steps, self.power = steps, float(power)
        self.built = True

    def call(self, outputs):
        probabilities = ops.softmax(outputs[..., :-1], axis=-1)
        # 1 - e is the sigmoid of minus the logit.
        conductance = ops.sigmoid(-outputs[..., -1:]) ** self.power
        return diffuse(probabilities, 1 - conductance, steps=self.steps)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] - 1)

    def get_config(self):
        return {**super().get_config(), "steps": self.steps, "power": self.power}
