"""Supervised training with the same augmentations and steps, as the baseline of the methods without labels."""

import functools

import keras
from keras import layers, ops

from kvision import augment, checks
from kvision.schedules import Steps
from kvision.selfsup.presets import Preset, by_size, sgd, single
from kvision.training import Objective

__all__ = ["PRESETS", "Supervised"]


class Supervised(Objective):
    """Cross entropy of a linear classifier on the encoder, for the row `supervised` in a table of methods.

    Args:
        encoder: A functional model from images `(batch, height, width, 3)` in [0, 255] to features
            `(batch, features)`.
        views: A layer that makes the augmented images "a" of a batch and keeps its "label", such as
            `kv.augment.MultiView`. If None, the data must contain both. Labels are integers `(batch,)` or `(batch, 1)`
            in [0, classes). A label outside of this range makes the loss NaN, and then `kv.training.fit` stops.
        classes: Number of classes, at least 2.
        smoothing: Label smoothing, in [0, 1) (Szegedy et al. 2016, arXiv 1512.00567, section 7).

    Raises:
        UserError: If `classes` or `smoothing` is out of its range.

    References:
        Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks".
    """

    drops_tail = False

    def __init__(
        self,
        encoder: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        classes: int,
        smoothing: float = 0.0,
    ):
        super().__init__(name="supervised")
        if classes < 2:
            raise checks.UserError("classes", expected="at least 2 classes", received=classes)
        if not 0 <= smoothing < 1:
            raise checks.UserError("smoothing", expected="a number in [0, 1)", received=smoothing)
        self.encoder, self.views, self.classes, self.smoothing = encoder, views, classes, smoothing
        self.head = layers.Dense(classes, dtype="float32", name="logits")
        self.head.build(encoder.output_shape)

    def call(self, batch, training=False):
        views = self.look(batch, "a", "label")
        feature = self.encoder(views["a"], training=training)
        label = ops.cast(ops.reshape(views["label"], ops.shape(feature)[:1]), "int32")
        return {"logits": self.head(feature), "label": label, "feature": ops.cast(feature, "float32")}

    def objective(self, outputs):
        """Returns the mean cross entropy of this replica's batch."""
        # `ops.one_hot` would raise on torch for a label that is not a class.
        target = ops.cast(outputs["label"][:, None] == ops.arange(self.classes, dtype="int32"), "float32")
        target /= ops.sum(target, axis=-1, keepdims=True)  # NaN for a label that is not a class.
        target = target * (1 - self.smoothing) + self.smoothing / self.classes
        return -ops.mean(ops.sum(target * ops.log_softmax(outputs["logits"]), axis=-1))

    def trivial(self, outputs):
        """Returns the loss at chance, log(classes)."""
        return ops.log(float(self.classes))

    def embedding(self, outputs):
        """Returns the features of the encoder."""
        return outputs["feature"]


def _supervised(encoder, views, *, classes, **_):
    return Supervised(encoder, views, classes=classes)


_preset = functools.partial(Preset, single(augment.supervised), _supervised, fields=("image", "label"))
_THIRDS = Steps((1 / 3, 2 / 3), warmup=0.0)
PRESETS = {
    "supervised": by_size(
        imagenet=_preset(sgd(1e-4), learning_rate=0.1, batch_size=256, epochs=90, curve=_THIRDS),
        small=_preset(sgd(5e-4), learning_rate=0.1, batch_size=128, epochs=100),
    )
}
