"""A sequence of augmentations."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import checks
from kvision.augment.keys import Keyed, fold

__all__ = ["View"]


@keras.saving.register_keras_serializable(package="kvision")
class View(Keyed):
    """Runs augmentations one after another, each with its own key.

    All random numbers depend only on the key of the view.

    Args:
        layers: Layers of `kv.augment`, which may include other views.
        seed: Seed of the random numbers if no key is given. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If `layers` is empty or contains a layer that is not of `kv.augment`.

    Example:
        >>> view = kv.augment.View([kv.augment.RandomResizedCrop(16), kv.augment.RandomGray()])
        >>> tuple(view(np.zeros((2, 32, 32, 3), "uint8")).shape)
        (2, 16, 16, 3)
    """

    def __init__(self, layers: Sequence[Keyed], *, seed: int | None = None, name: str | None = None):
        super().__init__(seed=seed, name=name)
        layers = list(layers)
        if not layers or not all(isinstance(layer, Keyed) for layer in layers):
            raise checks.UserError(
                "layers",
                expected="a list of layers of kv.augment",
                received=layers,
                hint="Write a layer of your own as a subclass of kv.augment.Keyed",
            )
        self.layers = layers

    def transform(self, images, key):
        """Runs the layers on the images."""
        keys = fold(key, ops.arange(len(self.layers), dtype="int32"))
        for index, layer in enumerate(self.layers):
            images = layer(images, key=keys[index])
        return images

    def compute_output_shape(self, input_shape):
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "layers": keras.saving.serialize_keras_object(list(self.layers))}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "layers": keras.saving.deserialize_keras_object(config["layers"])})
