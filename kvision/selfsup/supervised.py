"""Labels, through the same views and the same step: what the methods without labels are measured against."""

import keras
from keras import layers, ops

from kvision import augment, checks
from kvision.schedules import Steps
from kvision.selfsup.presets import Preset, by_size, resnet, sgd, single, zoo
from kvision.training import Objective

__all__ = ["PRESETS", "Supervised"]


class Supervised(Objective):
    """Cross entropy of a linear layer on the encoder (Krizhevsky et al. 2012), the row `supervised` of a table.

    encoder: as `SimCLR` has it. views: a layer that makes the view "a" and hands on "label", (B,) or (B, 1) integers
    in [0, classes); any other makes the loss NaN, at which `kv.training.fit` stops. smoothing: of the labels (Szegedy
    et al. 2016, arXiv 1512.00567, section 7).
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
            raise checks.error("classes", expected="a count of at least 2", received=classes)
        if not 0 <= smoothing < 1:
            raise checks.error("smoothing", expected="a share in [0, 1)", received=smoothing)
        self.encoder, self.views, self.classes, self.smoothing = encoder, views, classes, smoothing
        self.head = layers.Dense(classes, dtype="float32", name="logits")
        self.head.build(encoder.output_shape)

    def call(self, batch, training=False):
        views = self.look(batch, "a", "label")
        feature = self.encoder(views["a"], training=training)
        label = ops.cast(ops.reshape(views["label"], ops.shape(feature)[:1]), "int32")
        return {"logits": self.head(feature), "label": label, "feature": ops.cast(feature, "float32")}

    def objective(self, outputs):
        # not ops.one_hot, which raises on torch for a label of no class
        target = ops.cast(outputs["label"][:, None] == ops.arange(self.classes, dtype="int32"), "float32")
        target /= ops.sum(target, axis=-1, keepdims=True)  # 0 / 0 for a label of no class, whose loss would be 0
        target = target * (1 - self.smoothing) + self.smoothing / self.classes
        return -ops.mean(ops.sum(target * ops.log_softmax(outputs["logits"]), axis=-1))

    def trivial(self, outputs):
        return ops.log(float(self.classes))

    def embedding(self, outputs):
        return outputs["feature"]


def _supervised(encoder, made, *, classes, **_):
    return Supervised(encoder, made, classes=classes)


_FIELDS = ("image", "label")
PRESETS = {
    "supervised": by_size(
        imagenet=Preset(
            zoo("ResNet50"),
            single(augment.supervised),
            _supervised,
            sgd(1e-4),
            0.1,
            256,
            90,
            Steps((1 / 3, 2 / 3), warmup=0.0),
            fields=_FIELDS,
        ),
        small=Preset(resnet(16), single(augment.supervised), _supervised, sgd(5e-4), 0.1, 128, 100, fields=_FIELDS),
    )
}
