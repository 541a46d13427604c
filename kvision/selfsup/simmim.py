"""SimMIM: replaces patches by one learned token, and predicts their pixels with a linear layer."""

import functools
import math

import keras
from keras import layers, ops

from kvision import augment, checks
from kvision.backbones import vit_tokens
from kvision.schedules import Cosine
from kvision.selfsup.presets import Preset, adamw, by_size, single
from kvision.selfsup.tokens import Masked, grid

__all__ = ["PRESETS", "SimMIM"]


class SimMIM(Masked):
    """A simple framework for masked image modeling.

    The encoder sees all tokens, with one learned vector in the place of each hidden patch. A linear layer predicts the
    pixels, normalized by ImageNet's mean and standard deviation. The published ViT has a class token, learned relative
    positions and layer scales. The ViT here (`kv.backbones.vit`) has none of them.

    Args:
        vit: A model of `kv.backbones.vit`, or a ViT of `kv.backbones.create`.
        views: A layer that makes the augmented images "a" of a batch, such as `kv.augment.MultiView`. If None, the data
            must contain them.
        unit: Side in pixels of the squares that are hidden, a multiple of the patch size that divides the image. The
            default is from the paper.
        ratio: Share of the squares that are hidden. In each image, ceil(ratio * count) squares are hidden. They are
            drawn anew in each step. The default is from the paper.
        seed: Seed of the hidden squares. If None, the seed is random.

    Raises:
        UserError: If `vit` is not a vision transformer of kvision, squares of `unit` do not fill the image, or `ratio`
            hides no squares or all squares.

    Example:
        >>> vit = kv.backbones.vit(depth=1, width=16, heads=2, patch_size=8, image_size=32)
        >>> method = kv.selfsup.SimMIM(vit, unit=8)
        >>> method.encoder.output_shape
        (None, 16)

    References:
        Xie et al. 2021, arXiv 2111.09886, section 3.
    """

    power = 1

    def __init__(
        self,
        vit: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        unit: int = 32,
        ratio: float = 0.6,
        seed: int | None = None,
    ):
        super().__init__(vit, views, seed=seed, name="simmim")
        self.each = unit // self.patch_size  # Patches along the side of a square.
        if unit < 1 or unit % self.patch_size or self.rows % self.each or self.columns % self.each:
            expected = f"a multiple of the patch size, {self.patch_size}, that divides the image into whole squares"
            raise checks.UserError("unit", expected=expected, received=unit)
        self.squares = (self.rows // self.each, self.columns // self.each)
        self.count = math.ceil(ratio * math.prod(self.squares))
        if not 1 <= self.count < math.prod(self.squares):
            expected = f"a share that hides some of the {math.prod(self.squares)} squares, but not all"
            raise checks.UserError("ratio", expected=expected, received=ratio)
        width = self.patches.output_shape[-1]
        self.hidden = self.hidden_token(width)
        self.pixels = layers.Dense(self.values, dtype="float32", name="pixels")
        self.pixels.build((None, self.rows, self.columns, width))

    def call(self, batch, training=False):
        images = self.look(batch, "a")["a"]
        mask = self._mask(ops.shape(images)[0])
        tokens = self.patches(images)
        tokens = ops.where(mask[..., None] > 0, ops.cast(self.hidden, tokens.dtype), tokens)
        coded = vit_tokens(self.vit, self.vit.get_layer("positions")(tokens), training=training)
        return {
            "prediction": ops.reshape(self.pixels(coded), (-1, self.length, self.values)),
            "target": self.target(images),
            "mask": ops.reshape(mask, (-1, self.length)),
            "feature": ops.cast(ops.mean(coded, axis=(1, 2)), "float32"),
        }

    def _mask(self, count):
        """Draws masks `(count, rows, columns)` float32, 1 for a hidden patch."""
        _, place = self.shuffled(count, math.prod(self.squares))
        mask = ops.reshape(ops.cast(place < self.count, "float32"), (-1, *self.squares))
        return ops.repeat(ops.repeat(mask, self.each, axis=1), self.each, axis=2)

    def trivial(self, outputs):
        """Returns the error of predicting the mean color of the visible part of each image."""
        shape = ops.shape(outputs["target"])
        color = ops.reshape(outputs["target"], (shape[0], -1, self.channels))
        seen = ops.repeat(1 - outputs["mask"], self.patch_size**2, axis=1)[..., None]
        mean = ops.sum(color * seen, axis=1, keepdims=True) / ops.sum(seen, axis=1, keepdims=True)
        return self.error(ops.reshape(ops.broadcast_to(mean, ops.shape(color)), shape), outputs)


def _simmim(unit: int | None = None):
    return lambda encoder, views, *, seed, **_: SimMIM(encoder, views, unit=unit or _quarter(encoder), seed=seed)


def _quarter(vit: keras.Model) -> int:
    """Returns the side in pixels of squares of whole patches that fill the image, nearest to a quarter of its side."""
    patch_size, rows, columns = grid(vit)
    fitting = [each for each in range(1, rows + 1) if rows % each == 0 == columns % each]
    return patch_size * min(fitting, key=lambda each: abs(each - rows / 4))


_preset = functools.partial(Preset, single(augment.simmim), optimizer=adamw(0.999, global_clipnorm=5.0))
_PUBLISHED = Cosine(0.1, start=0.005, end=0.05)
PRESETS = {
    "simmim": by_size(
        vit=True,
        imagenet=_preset(_simmim(unit=32), learning_rate=8e-4, batch_size=2048, epochs=100, curve=_PUBLISHED),
        small=_preset(_simmim(), learning_rate=1e-3, batch_size=256, epochs=400, curve=Cosine(0.05, end=0.05)),
    )
}
