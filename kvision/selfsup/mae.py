"""MAE: hides three quarters of the patches of an image, and predicts their pixels from the visible patches."""

import functools

import keras
from keras import layers, ops

from kvision import augment, checks
from kvision.backbones import transformer, vit_tokens
from kvision.layers import SinCosPositions
from kvision.schedules import Cosine
from kvision.selfsup.presets import Preset, adamw, by_size, single
from kvision.selfsup.tokens import Masked

__all__ = ["MAE", "PRESETS"]

_EPSILON = 1e-6  # Added to the variance of a patch, as in the published code.


class MAE(Masked):
    """Masked autoencoder.

    The encoder sees only the patches that are not hidden. The decoder gets the tokens of the visible patches in their
    places, and one learned vector in the place of each hidden patch. The decoder predicts the pixels of the hidden
    patches.

    The encoder is the plain ViT of Beyer et al. 2022. It differs from the paper's ViT in three points. It has no class
    token. The last frequency of its positions is 1 / 10000 (`kv.layers.SinCosPositions`), while the decoder has the
    paper's positions. The features of the encoder are the mean of the tokens after the last normalization, and this
    normalization is pre-trained. The fine-tuning code of the paper computes the mean first, and then normalizes the
    mean with a new layer.

    Args:
        vit: A model of `kv.backbones.vit`, or a ViT of `kv.backbones.create`.
        views: A layer that makes the augmented images "a" of a batch, such as `kv.augment.MultiView`. If None, the data
            must contain them.
        ratio: Share of the patches that are hidden. The encoder sees int(L * (1 - ratio)) of L patches. These patches
            are drawn anew for each image in each step. The default is from the paper.
        decoder_width: Width of the decoder, a multiple of `decoder_heads`. The default is from the paper.
        decoder_depth: Number of blocks of the decoder. The default is from the paper.
        decoder_heads: Number of attention heads of the decoder. The default is from the paper.
        normalized: Whether each target patch is normalized by its own mean and (unbiased) standard deviation, as in
            table 1d of the paper. Whether this is True or False, the pixels are first normalized by ImageNet's mean and
            standard deviation. The target of a gray image has three equal channels.
        seed: Seed of the hidden patches. If None, the seed is random.

    Raises:
        UserError: If `vit` is not a vision transformer of kvision, `ratio` hides no patches or all patches, or
            `decoder_heads` does not divide `decoder_width`.

    Example:
        >>> vit = kv.backbones.vit(depth=1, width=16, heads=2, patch_size=8, image_size=32)
        >>> method = kv.selfsup.MAE(vit, decoder_width=16, decoder_depth=1, decoder_heads=2)
        >>> method.encoder.output_shape
        (None, 16)

    References:
        He et al. 2021, arXiv 2111.06377, section 3.
    """

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
        super().__init__(vit, views, seed=seed, name="mae")
        self.normalized = normalized
        self.kept = int(self.length * (1 - ratio))
        if not 1 <= self.kept < self.length:
            expected = f"a share that hides some of the {self.length} patches, but not all"
            raise checks.UserError("ratio", expected=expected, received=ratio)
        if decoder_heads < 1 or decoder_width % decoder_heads:
            expected = f"a divisor of `decoder_width`, {decoder_width}"
            raise checks.UserError("decoder_heads", expected=expected, received=decoder_heads)
        self.narrow = layers.Dense(decoder_width, name="narrow")
        self.narrow.build((None, self.kept, self.patches.output_shape[-1]))
        self.hidden = self.hidden_token(decoder_width)
        tokens = keras.Input((self.rows, self.columns, decoder_width), name="tokens")
        x = transformer(
            SinCosPositions(endpoint=False, name="positions")(tokens), depth=decoder_depth, heads=decoder_heads
        )
        pixels = layers.Dense(self.values, dtype="float32", name="pixels")(x)
        self.decoder = keras.Model(tokens, pixels, name="decoder")

    def call(self, batch, training=False):
        images = self.look(batch, "a")["a"]
        count = ops.shape(images)[0]
        order, place = self.shuffled(count, self.length)
        tokens = self.vit.get_layer("positions")(self.patches(images))
        tokens = ops.reshape(tokens, (count, self.length, tokens.shape[-1]))
        seen = ops.take_along_axis(tokens, order[:, : self.kept, None], axis=1)
        coded = vit_tokens(self.vit, seen[:, :, None], training=training)[:, :, 0]
        x = self.narrow(coded)
        hidden = ops.broadcast_to(ops.cast(self.hidden, x.dtype), (count, self.length - self.kept, x.shape[-1]))
        x = ops.take_along_axis(ops.concatenate([x, hidden], axis=1), place[:, :, None], axis=1)
        x = self.decoder(ops.reshape(x, (count, self.rows, self.columns, x.shape[-1])), training=training)
        return {
            "prediction": ops.reshape(x, (count, self.length, self.values)),
            "target": self.target(images),
            "mask": ops.cast(place >= self.kept, "float32"),
            "feature": ops.cast(ops.mean(coded, axis=1), "float32"),
        }

    def target(self, images):
        """Returns the pixels of each patch, normalized by its own statistics if `normalized`."""
        patches = super().target(images)
        if not self.normalized:
            return patches
        variance = ops.var(patches, axis=-1, keepdims=True) * (self.values / (self.values - 1))
        return (patches - ops.mean(patches, axis=-1, keepdims=True)) / ops.sqrt(variance + _EPSILON)

    def trivial(self, outputs):
        """Returns the error of predicting the mean of each patch, or ImageNet's mean color if not `normalized`."""
        return self.error(ops.zeros_like(outputs["target"]), outputs)


def _mae(**options):
    return lambda encoder, views, *, seed, **_: MAE(encoder, views, seed=seed, **options)


_SMALL = {"decoder_width": 64, "decoder_depth": 2, "decoder_heads": 4}
_preset = functools.partial(Preset, single(augment.mae), optimizer=adamw(0.95))
PRESETS = {
    "mae": by_size(
        vit=True,
        imagenet=_preset(_mae(), learning_rate=2.4e-3, batch_size=4096, epochs=800, curve=Cosine(0.05)),
        small=_preset(_mae(**_SMALL), learning_rate=1e-3, batch_size=256, epochs=400),
    )
}
