"""SimMIM: patches are replaced by one token, and their pixels predicted by a single linear layer."""

import math

import keras
from keras import layers, ops

from kvision import augment, checks, losses
from kvision.augment import Key, next_key
from kvision.backbones import vit_tokens
from kvision.layers import Preprocess
from kvision.ops import to_patches
from kvision.schedules import Cosine
from kvision.selfsup.presets import Preset, adamw, by_size, single, small_vit, zoo
from kvision.selfsup.tokens import grid, patch_model, pooled
from kvision.training import Objective

__all__ = ["PRESETS", "SimMIM"]


class SimMIM(Objective):
    """SimMIM, a simple framework for masked image modeling.

    The encoder sees all tokens, with one learned vector in place of each hidden patch. A linear layer predicts the
    pixels: targets are pixels less ImageNet's mean, over its standard deviation. The published ViT has a class token,
    learned relative positions and layer scales; ours has none of these (`kv.backbones.vit`).

    Args:
        vit: A model of `kv.backbones.vit`, or a ViT of `kv.backbones.create`.
        views: A layer that makes the view "a". If None, the data brings it.
        unit: Side in pixels of the squares that are hidden, a multiple of the patch size. The paper has 32.
        ratio: Share of the squares that are hidden: ceil(ratio * count) in each image, drawn anew in each step.
        seed: Of the squares that are drawn.

    Raises:
        kvision.UserError: If `vit` is no vision transformer, or `unit` or `ratio` do not suit it.

    References:
        Xie et al. 2021, arXiv 2111.09886, section 3.
    """

    drops_tail = False

    def __init__(
        self,
        vit: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        unit: int = 32,
        ratio: float = 0.6,
        seed: int | None = None,
    ):
        super().__init__(name="simmim")
        self.patch_size, self.rows, self.columns = grid(vit)
        self.vit, self.patches, self.encoder = vit, patch_model(vit), pooled(vit)
        self.views, self.each = views, unit // self.patch_size  # patches along a square's side
        if unit < 1 or unit % self.patch_size or self.rows % self.each or self.columns % self.each:
            expected = f"a multiple of the patch size, {self.patch_size}, that fills the image"
            raise checks.error("unit", expected=expected, received=unit)
        self.squares = (self.rows // self.each, self.columns // self.each)
        self.count = math.ceil(ratio * math.prod(self.squares))
        if not 1 <= self.count < math.prod(self.squares):
            raise checks.error("ratio", expected="a share that hides some squares, not all", received=ratio)
        self.order = keras.random.SeedGenerator(seed)
        width = self.patches.output_shape[-1]
        self.hidden = self.add_weight((width,), initializer=keras.initializers.RandomNormal(stddev=0.02), name="hidden")
        self.standard = Preprocess("torch", dtype="float32", name="target")
        self.channels = self.standard.compute_output_shape(vit.input_shape)[-1]  # of the target: gray is repeated
        self.pixels = layers.Dense(self.patch_size**2 * self.channels, dtype="float32", name="pixels")
        self.pixels.build((None, self.rows, self.columns, width))

    def call(self, batch, training=False):
        images = self.look(batch, "a")["a"]
        mask = self._mask(ops.shape(images)[0])
        tokens = self.patches(images)
        tokens = ops.where(mask[..., None] > 0, ops.cast(self.hidden, tokens.dtype), tokens)
        coded = vit_tokens(self.vit, self.vit.get_layer("positions")(tokens), training=training)
        target, prediction = to_patches(self.standard(images), self.patch_size), self.pixels(coded)
        length = self.rows * self.columns
        return {
            "prediction": ops.reshape(prediction, (-1, length, prediction.shape[-1])),
            "target": ops.reshape(target, (-1, length, target.shape[-1])),
            "mask": ops.reshape(mask, (-1, length)),
            "feature": ops.cast(ops.mean(coded, axis=(1, 2)), "float32"),
        }

    def _mask(self, count):
        """(count, rows, columns) float32, 1 where hidden."""
        key = Key(next_key(self.order))
        place = ops.argsort(ops.argsort(keras.random.uniform((count, math.prod(self.squares)), seed=key)))
        mask = ops.reshape(ops.cast(place < self.count, "float32"), (-1, *self.squares))
        return ops.repeat(ops.repeat(mask, self.each, axis=1), self.each, axis=2)

    def objective(self, outputs):
        return ops.mean(losses.masked_error(outputs["prediction"], outputs["target"], outputs["mask"], power=1))

    def trivial(self, outputs):
        """Of predicting each image's own mean color, which needs no look at its neighborhood."""
        shape = ops.shape(outputs["target"])
        color = ops.reshape(outputs["target"], (shape[0], -1, self.channels))
        seen = ops.repeat(1 - outputs["mask"], self.patch_size**2, axis=1)[..., None]
        mean = ops.sum(color * seen, axis=1, keepdims=True) / ops.sum(seen, axis=1, keepdims=True)
        guess = ops.reshape(ops.broadcast_to(mean, ops.shape(color)), shape)
        return ops.mean(losses.masked_error(guess, outputs["target"], outputs["mask"], power=1))

    def embedding(self, outputs):
        return outputs["feature"]


def _simmim(unit: int | None = None):
    return lambda encoder, made, *, seed, **_: SimMIM(encoder, made, unit=unit or _quarter(encoder), seed=seed)


def _quarter(vit: keras.Model) -> int:
    """The side in pixels of the squares nearest to a quarter of the image that hold whole patches and fill it."""
    patch_size, rows, columns = grid(vit)
    fitting = [each for each in range(1, rows + 1) if rows % each == 0 == columns % each]
    return patch_size * min(fitting, key=lambda each: abs(each - rows / 4))


PRESETS = {
    "simmim": by_size(
        imagenet=Preset(
            zoo("ViTSmall16"),
            single(augment.simmim),
            _simmim(unit=32),
            adamw(0.999, global_clipnorm=5.0),
            8e-4,
            2048,
            100,
            Cosine(0.1, start=0.005, end=0.05),
            vit=True,
        ),
        small=Preset(
            small_vit,
            single(augment.simmim),
            _simmim(),
            adamw(0.999, global_clipnorm=5.0),
            1e-3,
            256,
            400,
            Cosine(0.05, end=0.05),
            vit=True,
        ),
    )
}
