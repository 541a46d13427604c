"""SimCLR: two views of an image agree, and differ from all others of the batch."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import augment, distribute, losses
from kvision.schedules import Cosine
from kvision.selfsup.presets import Preset, by_size, lars, pair, resnet, sgd, zoo
from kvision.selfsup.projector import projector
from kvision.training import Objective

__all__ = ["PRESETS", "SimCLR"]


class SimCLR(Objective):
    """SimCLR (Chen et al. 2020, arXiv 2002.05709, algorithm 1).

    encoder: image (B, S, S, 3) in [0, 255] -> features (B, D). views: a layer that makes the views "a" and "b" of a
    batch's "image"; None: the data brings them. sizes: of the projector; (512, 128) has the proportions of the paper's
    for a ResNet-18. temperature: .1 for ImageNet, .5 for CIFAR-10 (appendix B.9). Negatives are those of all replicas.
    """

    def __init__(
        self,
        encoder: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        sizes: Sequence[int] = (512, 128),
        temperature: float = 0.1,
    ):
        super().__init__(name="simclr")
        self.encoder, self.views, self.temperature = encoder, views, temperature
        self.projector = projector(encoder.output_shape[-1], sizes)

    def call(self, batch, training=False):
        views = self.look(batch, "a", "b")
        both = ops.concatenate([views["a"], views["b"]])  # one call: statistics of its own would tell the view
        z = self.projector(self.encoder(both, training=training), training=training)
        rows = ops.shape(z)[0] // 2
        return {"a": z[:rows], "b": z[rows:]}

    def objective(self, outputs):
        a, b = (distribute.gather_replicas(outputs[name]) for name in ("a", "b"))
        return ops.mean(losses.nt_xent(a, b, temperature=self.temperature))

    def trivial(self, outputs):
        count = ops.shape(outputs["a"])[0] * distribute.replica_count()
        return ops.log(2.0 * ops.cast(count, "float32") - 1)

    def embedding(self, outputs):
        return outputs["a"]


def _simclr(**options):
    return lambda encoder, made, **_: SimCLR(encoder, made, **options)


def _cifar(size: int) -> augment.View:
    return augment.simclr(size, strength=0.5, blur=False)  # appendix B.9


PRESETS = {
    "simclr": by_size(
        imagenet=Preset(
            zoo("ResNet50"), pair(augment.simclr), _simclr(sizes=(2048, 128)), lars(1e-6), 4.8, 4096, 1000, Cosine(0.01)
        ),
        small=Preset(resnet(16), pair(_cifar), _simclr(temperature=0.5), sgd(5e-4), 0.12, 256, 200),
    )
}
