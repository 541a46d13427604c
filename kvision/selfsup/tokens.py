"""Shared parts of the methods that hide patches of a vision transformer."""

import keras
from keras import ops

from kvision import checks, losses
from kvision.augment import Key, next_key
from kvision.layers import Preprocess
from kvision.ops import to_patches
from kvision.training import Objective

__all__ = ["Masked", "grid", "pooled"]


def grid(vit: keras.Model) -> tuple[int, int, int]:
    """Returns the patch size in pixels, the rows and the columns of a vision transformer.

    Raises:
        UserError: If the model is not a model of `kv.backbones.vit`.
    """
    missing = {"patches", "positions", "block1_attention", "norm"} - {layer.name for layer in vit.layers}
    if missing:
        raise checks.UserError(
            "vit",
            expected="a model of kv.backbones.vit, or a ViT of kv.backbones.create",
            received=f"{vit.name!r}, which has no layers {sorted(missing)}",
        )
    _, rows, columns, _ = vit.get_layer("patches").output.shape
    return vit.input_shape[1] // rows, rows, columns


def pooled(vit: keras.Model) -> keras.Model:
    """Returns a model from images to the mean of their tokens, or `vit` itself if `vit` already pools."""
    if len(vit.output_shape) == 2:
        return vit
    return keras.Model(vit.inputs[0], keras.layers.GlobalAveragePooling2D(name="pool")(vit.output), name=vit.name)


class Masked(Objective):
    """Base class of the methods that hide patches and predict their pixels.

    `call` of a subclass returns a dictionary of four arrays: `prediction` and `target`, `(batch, patches, values)`;
    `mask`, `(batch, patches)`, which is 1 for a hidden patch; and `feature`, `(batch, features)`.
    """

    drops_tail = False
    power = 2  # Exponent of the error of a pixel.

    def __init__(self, vit: keras.Model, views: keras.layers.Layer | None, *, seed: int | None, name: str):
        super().__init__(name=name)
        self.patch_size, self.rows, self.columns = grid(vit)
        self.length = self.rows * self.columns
        # `patches` maps images to the embeddings of their patches, before positions are added.
        self.vit, self.patches = vit, keras.Model(vit.inputs[0], vit.get_layer("patches").output, name="patch_model")
        self.encoder, self.views = pooled(vit), views
        self.order = keras.random.SeedGenerator(seed)
        self.standard = Preprocess("torch", dtype="float32", name="target")
        self.channels = self.standard.compute_output_shape(vit.input_shape)[-1]  # Gray is repeated to RGB.
        self.values = self.channels * self.patch_size**2

    def hidden_token(self, width: int):
        """Creates the learned vector that stands for a hidden patch."""
        initializer = keras.initializers.RandomNormal(stddev=0.02)
        return self.add_weight((width,), initializer=initializer, name="hidden")

    def shuffled(self, count, length: int):
        """Draws an order of `length` items for each of `count` images. Returns the order and the place of each item."""
        order = ops.argsort(keras.random.uniform((count, length), seed=Key(next_key(self.order))), axis=-1)
        return order, ops.argsort(order, axis=-1)

    def target(self, images):
        """Returns the pixels of each patch, normalized by ImageNet's mean and standard deviation."""
        return ops.reshape(to_patches(self.standard(images), self.patch_size), (-1, self.length, self.values))

    def error(self, prediction, outputs):
        """Returns the mean error of a prediction on the hidden patches."""
        return ops.mean(losses.masked_error(prediction, outputs["target"], outputs["mask"], power=self.power))

    def objective(self, outputs):
        """Returns the mean error on the hidden patches of this replica's batch."""
        return self.error(outputs["prediction"], outputs)

    def embedding(self, outputs):
        """Returns the mean of the encoded tokens."""
        return outputs["feature"]
