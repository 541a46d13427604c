"""MAE: three quarters of an image's patches are hidden, and regressed from the rest."""

import keras
from keras import layers, ops

from kvision import augment, checks, losses
from kvision.augment import Key, next_key
from kvision.backbones import transformer, vit_tokens
from kvision.layers import Preprocess, SinCosPositions
from kvision.ops import to_patches
from kvision.schedules import Cosine
from kvision.selfsup.presets import Preset, adamw, by_size, single, small_vit, zoo
from kvision.selfsup.tokens import grid, patch_model, pooled
from kvision.training import Objective

__all__ = ["MAE", "PRESETS"]

_EPSILON = 1e-6  # of a patch's variance, as in the published code


class MAE(Objective):
    """Masked autoencoder.

    The encoder sees the patches that are not hidden. The decoder gets its tokens back in their places, with one learned
    vector in place of each hidden patch, and predicts the pixels.

    The encoder is the plain ViT of Beyer et al. 2022, which differs from the paper's in three points. It has no class
    token. The last frequency of its positions is 1 / 10000 (`kv.layers.SinCosPositions`); the decoder's positions are
    the paper's. Its features are the mean of the tokens after the last normalization, which is part of what is
    pre-trained: the paper's fine-tuning code takes the mean first and normalizes it by a new layer.

    Args:
        vit: A model of `kv.backbones.vit`, or a ViT of `kv.backbones.create`.
        views: A layer that makes the view "a". If None, the data brings it.
        ratio: Share of the patches that are hidden. int(L * (1 - ratio)) of L patches are seen, drawn anew for each
            image and step.
        decoder_width: Width of the decoder, a multiple of `decoder_heads`. The paper has 512.
        decoder_depth: Blocks of the decoder. The paper has 8.
        decoder_heads: Attention heads of the decoder. The paper has 16.
        normalized: Whether the mean of each patch is subtracted from its target, which is then divided by the standard
            deviation (unbiased), as in table 1d. Before that, targets are pixels less ImageNet's mean, over its
            standard deviation. Gray images have three equal channels there.
        seed: Of the patches that are drawn.

    Raises:
        kvision.UserError: If `vit` is no vision transformer, or `ratio` or `decoder_heads` do not suit it.

    References:
        He et al. 2021, arXiv 2111.06377, section 3.
    """

    drops_tail = False

    def __init__(
        self,
        vit: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        ratio: float = 0.75,
        decoder_width: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        normalized: bool = True,
        seed: int | None = None,
    ):
        super().__init__(name="mae")
        self.patch_size, self.rows, self.columns = grid(vit)
        self.vit, self.patches, self.encoder = vit, patch_model(vit), pooled(vit)
        self.views, self.normalized = views, normalized
        self.kept = int(self.rows * self.columns * (1 - ratio))
        if not 1 <= self.kept < self.rows * self.columns:
            raise checks.error("ratio", expected="a share that hides some patches, not all", received=ratio)
        if decoder_heads < 1 or decoder_width % decoder_heads:
            expected = f"a divisor of decoder_width, {decoder_width}"
            raise checks.error("decoder_heads", expected=expected, received=decoder_heads)
        self.order = keras.random.SeedGenerator(seed)
        self.standard = Preprocess("torch", dtype="float32", name="target")
        values = self.patch_size**2 * self.standard.compute_output_shape(vit.input_shape)[-1]
        self.narrow = layers.Dense(decoder_width, name="narrow")
        self.narrow.build((None, self.kept, self.patches.output_shape[-1]))
        self.hidden = self.add_weight(
            (decoder_width,), initializer=keras.initializers.RandomNormal(stddev=0.02), name="hidden"
        )
        tokens = keras.Input((self.rows, self.columns, decoder_width), name="tokens")
        x = transformer(
            SinCosPositions(endpoint=False, name="positions")(tokens), depth=decoder_depth, heads=decoder_heads
        )
        pixels = layers.Dense(values, dtype="float32", name="pixels")(x)
        self.decoder = keras.Model(tokens, pixels, name="decoder")

    def call(self, batch, training=False):
        images = self.look(batch, "a")["a"]
        count, length = ops.shape(images)[0], self.rows * self.columns
        order = ops.argsort(keras.random.uniform((count, length), seed=Key(next_key(self.order))), axis=-1)
        back = ops.argsort(order, axis=-1)
        tokens = self.vit.get_layer("positions")(self.patches(images))
        tokens = ops.reshape(tokens, (count, length, tokens.shape[-1]))
        seen = ops.take_along_axis(tokens, order[:, : self.kept, None], axis=1)
        coded = vit_tokens(self.vit, seen[:, :, None], training=training)[:, :, 0]
        x = self.narrow(coded)
        hidden = ops.broadcast_to(ops.cast(self.hidden, x.dtype), (count, length - self.kept, x.shape[-1]))
        x = ops.take_along_axis(ops.concatenate([x, hidden], axis=1), back[:, :, None], axis=1)
        x = self.decoder(ops.reshape(x, (count, self.rows, self.columns, x.shape[-1])), training=training)
        return {
            "prediction": ops.reshape(x, (count, length, x.shape[-1])),
            "target": self._target(images),
            "mask": ops.cast(back >= self.kept, "float32"),
            "feature": ops.cast(ops.mean(coded, axis=1), "float32"),
        }

    def _target(self, images):
        patches = to_patches(self.standard(images), self.patch_size)
        patches = ops.reshape(patches, (-1, self.rows * self.columns, patches.shape[-1]))
        if not self.normalized:
            return patches
        values = patches.shape[-1]
        variance = ops.var(patches, axis=-1, keepdims=True) * (values / (values - 1))
        return (patches - ops.mean(patches, axis=-1, keepdims=True)) / ops.sqrt(variance + _EPSILON)

    def objective(self, outputs):
        return ops.mean(losses.masked_error(outputs["prediction"], outputs["target"], outputs["mask"]))

    def trivial(self, outputs):
        """Loss of predicting each patch's mean if targets are normalized, else the mean color of ImageNet."""
        target = outputs["target"]
        return ops.mean(losses.masked_error(ops.zeros_like(target), target, outputs["mask"]))

    def embedding(self, outputs):
        return outputs["feature"]


def _mae(**options):
    return lambda encoder, made, *, seed, **_: MAE(encoder, made, seed=seed, **options)


PRESETS = {
    "mae": by_size(
        imagenet=Preset(
            zoo("ViTSmall16"), single(augment.mae), _mae(), adamw(0.95), 2.4e-3, 4096, 800, Cosine(0.05), vit=True
        ),
        small=Preset(
            small_vit,
            single(augment.mae),
            _mae(decoder_width=64, decoder_depth=2, decoder_heads=4),
            adamw(0.95),
            1e-3,
            256,
            400,
            vit=True,
        ),
    )
}
