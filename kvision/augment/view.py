"""Several random layers as one view."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import checks
from kvision.augment.keys import Keyed, fold

__all__ = ["View"]


@keras.saving.register_keras_serializable(package="kvision")
class View(Keyed):
    """Runs layers one after another, each with a key of its own: images (B, H, W, 3) in [0, 255] -> a view, float32.

    layers: `Keyed` layers, views among them. What they draw follows from the view's key alone.
    Raises UserError for none, and for another kind of layer.
    """

    def __init__(self, layers: Sequence[Keyed], *, seed: int | None = None, name: str | None = None):
        super().__init__(seed=seed, name=name)
        layers = list(layers)
        if not layers or not all(isinstance(layer, Keyed) for layer in layers):
            raise checks.error(
                "layers",
                expected="a list of layers of kvision.augment",
                received=layers,
                hint="A layer of your own becomes one as a subclass of Keyed",
            )
        self.layers = layers

    def transform(self, images, key):
        keys = fold(key, ops.arange(len(self.layers), dtype="int32"))
        for index, layer in enumerate(self.layers):
            images = layer(images, key=keys[index])
        return images

    def compute_output_shape(self, input_shape):
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "layers": [keras.saving.serialize_keras_object(each) for each in self.layers]}

    @classmethod
    def from_config(cls, config):
        layers = [keras.saving.deserialize_keras_object(each) for each in config["layers"]]
        return cls(**{**config, "layers": layers})
