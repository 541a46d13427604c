"""Several layers as one layer of a model."""

from collections.abc import Sequence

import keras

__all__ = ["Chain"]


@keras.saving.register_keras_serializable(package="kvision")
class Chain(keras.layers.Layer):
    """Calls its layers one after the other.

    The export takes a model's last layer for its head, and what that layer reads for the features. A nested
    `keras.Sequential` cannot stand there, since its `input` is its own and not that of the model around it.

    Args:
        steps: Layers, in the order in which they are called.
        note: What a reader of the model card has to know about the outputs; a full sentence or more.
    """

    def __init__(
        self,
        steps: Sequence[keras.layers.Layer],
        *,
        note: str = "",
        name: str = "probabilities",
        dtype="float32",
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype="float32", trainable=trainable)  # as heads do: votes flip in lower precision
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
