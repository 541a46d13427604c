"""Several layers as one layer of a model."""

from collections.abc import Sequence

import keras

__all__ = ["Chain"]


@keras.saving.register_keras_serializable(package="kvision")
class Chain(keras.layers.Layer):
    """Calls several layers one after the other, in float32.

    `kv.export` uses the last layer of a model as the head, and the input of the last layer as the features. A nested
    `keras.Sequential` does not work there, because its `input` is not a tensor of the outer model.

    Args:
        steps: Layers, in the order in which they are called.
        note: A remark about the outputs for the model card, in full sentences.
        name: Name of the layer.
        trainable: Whether the layers can train.

    Example:
        >>> head = kv.layers.Chain([keras.layers.Dense(10), kv.layers.Decision("softmax")])
        >>> head(keras.Input((64,))).shape
        (None, 10)
    """

    def __init__(
        self,
        steps: Sequence[keras.layers.Layer],
        *,
        note: str = "",
        name: str = "probabilities",
        trainable: bool = True,
    ):
        # A lower precision could change the class that a head predicts.
        super().__init__(name=name, dtype="float32", trainable=trainable)
        self.steps = list(steps)
        self.note = note

    def build(self, input_shape):
        for step in self.steps:
            if not step.built:
                step.build(input_shape)
            input_shape = step.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        for step in self.steps:
            inputs = step(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        for step in self.steps:
            input_shape = step.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        steps = [keras.saving.serialize_keras_object(step) for step in self.steps]
        return {"steps": steps, "note": self.note, "name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config):
        steps = [keras.saving.deserialize_keras_object(step) for step in config["steps"]]
        return cls(**{**config, "steps": steps})
