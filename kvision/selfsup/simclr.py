"""SimCLR: makes the features of two views of an image similar, and different from all other images of the batch."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import augment, distribute, losses
from kvision.schedules import Cosine
from kvision.selfsup.presets import Preset, by_size, lars, pair, sgd
from kvision.selfsup.projector import projector
from kvision.training import Objective

__all__ = ["PRESETS", "SimCLR"]


class SimCLR(Objective):
    """Contrastive learning of two views of an image against all other images of the batch.

    On several replicas, the negatives come from the batches of all replicas.

    Args:
        encoder: A functional model from images `(batch, height, width, 3)` in [0, 255] to features
            `(batch, features)`.
        views: A layer that makes the views "a" and "b" of a batch, such as `kv.augment.MultiView`. If None, the data
            must contain them.
        sizes: Widths of the layers of the projector. The default has the proportions of the paper's projector for a
            ResNet-18.
        temperature: Divides the cosine similarities, a positive number. The paper uses 0.1 for ImageNet, and 0.5 for
            CIFAR-10 (appendix B.9).

    Example:
        >>> encoder = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
        >>> view = kv.augment.simclr(32, strength=0.5, blur=False)
        >>> method = kv.selfsup.SimCLR(encoder, kv.augment.MultiView({"a": view, "b": view}), temperature=0.5)
        >>> method.compile(kv.training.SGD(0.03, momentum=0.9))

    References:
        Chen et al. 2020, arXiv 2002.05709, algorithm 1.
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
        # Both views go through the network in one call, so that they have the same batch statistics.
        both = ops.concatenate([views["a"], views["b"]])
        z = self.projector(self.encoder(both, training=training), training=training)
        rows = ops.shape(z)[0] // 2
        return {"a": z[:rows], "b": z[rows:]}

    def objective(self, outputs):
        """Returns the mean loss of this replica's batch."""
        a, b = (distribute.gather_replicas(outputs[name]) for name in ("a", "b"))
        return ops.mean(losses.nt_xent(a, b, temperature=self.temperature))

    def trivial(self, outputs):
        """Returns the loss at chance, log(2 * batch - 1)."""
        count = ops.shape(outputs["a"])[0] * distribute.replica_count()
        return ops.log(2.0 * ops.cast(count, "float32") - 1)

    def embedding(self, outputs):
        """Returns the projections of the first view."""
        return outputs["a"]


def _simclr(**options):
    return lambda encoder, views, **_: SimCLR(encoder, views, **options)


def _cifar(size: int) -> augment.View:
    return augment.simclr(size, strength=0.5, blur=False)  # Appendix B.9.


PRESETS = {
    "simclr": by_size(
        imagenet=Preset(
            pair(augment.simclr),
            _simclr(sizes=(2048, 128)),
            lars(1e-6),
            learning_rate=4.8,
            batch_size=4096,
            epochs=1000,
            curve=Cosine(0.01),
        ),
        small=Preset(pair(_cifar), _simclr(temperature=0.5), sgd(5e-4), learning_rate=0.12, batch_size=256, epochs=200),
    )
}
