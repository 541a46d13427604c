"""MoCo: matches the two views of an image, with the keys of earlier batches as negatives."""

import functools
from collections.abc import Sequence

import keras
from keras import ops

from kvision import augment, checks, losses
from kvision.ops import unit
from kvision.schedules import Cosine
from kvision.selfsup.presets import DROPS, Preset, by_size, pair, sgd
from kvision.selfsup.projector import projector
from kvision.selfsup.queue import FeatureQueue
from kvision.selfsup.twin import MomentumTwin
from kvision.training import Objective

__all__ = ["PRESETS", "MoCo"]


class MoCo(Objective):
    """Momentum contrast, version 1 and 2.

    The encoder computes a query from one view. A slow copy of the network (`MomentumTwin`) computes a key from the
    other view. The negatives are the keys of earlier batches, which a queue stores. Version 2 has `sizes=(2048, 128)`
    and `temperature=0.2`.

    Args:
        encoder: A functional model from images `(batch, height, width, 3)` in [0, 255] to features
            `(batch, features)`.
        views: A layer that makes the views "a" and "b" of a batch, such as `kv.augment.MultiView`. If None, the data
            must contain them.
        sizes: Widths of the layers of the projector, which has no normalization. The default is from version 1.
        queue_size: Number of keys in the queue, a multiple of the global batch size. The default is from the paper.
        temperature: Divides the cosine similarities, a positive number. The default is from version 1.
        momentum: Momentum of the slow copy, in [0, 1]. The default is from the paper.
        groups: Number of groups into which one device splits the batch of keys, see `MomentumTwin`. The default is the
            number of GPUs in the paper.
        seed: Seed of the groups. If None, the seed is random.

    Raises:
        UserError: If a number is out of its range.

    References:
        He et al. 2020, arXiv 1911.05722, algorithm 1. Chen et al. 2020, arXiv 2003.04297 (version 2).
    """

    def __init__(
        self,
        encoder: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        sizes: Sequence[int] = (128,),
        queue_size: int = 65536,
        temperature: float = 0.07,
        momentum: float = 0.999,
        groups: int = 8,
        seed: int | None = None,
    ):
        super().__init__(name="moco")
        checks.positive({"queue_size": queue_size})
        self.encoder, self.views, self.temperature = encoder, views, temperature
        self.projector = projector(encoder.output_shape[-1], sizes, norm=False)
        query = keras.Model(encoder.inputs[0], self.projector(encoder.output), name="query")
        self.twin = MomentumTwin(query, momentum=momentum, groups=groups, seed=seed)
        self.queue = FeatureQueue(queue_size, sizes[-1])

    def check_batch(self, batch_size):
        """Checks that the batch size suits the queue and the momentum twin."""
        self.twin.check_batch(batch_size)
        self.queue.check_batch(batch_size)

    def call(self, batch, training=False):
        views = self.look(batch, "a", "b")
        query = unit(self.projector(self.encoder(views["a"], training=training), training=training))
        key = unit(self.twin(views["b"], training=training))
        others = self.queue(key, training=training)
        return {
            "positive": ops.sum(query * key, axis=-1),
            "negatives": ops.matmul(query, ops.transpose(others)),
            "query": query,
        }

    def objective(self, outputs):
        """Returns the mean loss of this replica's batch."""
        return ops.mean(losses.info_nce(outputs["positive"], outputs["negatives"], temperature=self.temperature))

    def trivial(self, outputs):
        """Returns the loss at chance, log(1 + queue_size)."""
        return ops.log(1.0 + outputs["negatives"].shape[-1])

    def embedding(self, outputs):
        """Returns the queries."""
        return outputs["query"]


def _moco(queue_size: int = 65536, **options):
    def method(encoder, views, *, images, seed, **_):
        # If the queue were longer than the data, earlier keys of an image would be among the negatives of the same
        # image.
        size = queue_size
        while size > images and size % 2 == 0:
            size //= 2
        return MoCo(encoder, views, queue_size=size, seed=seed, **options)

    return method


def _without_blur(size: int) -> augment.View:
    return augment.moco2(size, blur=False)


_SMALL = {"queue_size": 4096, "momentum": 0.99, "groups": 4}
_SMOKE = {"queue_size": 64, "momentum": 0.9, "groups": 2}
_imagenet = functools.partial(Preset, optimizer=sgd(1e-4), learning_rate=0.03, batch_size=256, epochs=200)
_small = functools.partial(Preset, optimizer=sgd(5e-4), learning_rate=0.12, batch_size=256, epochs=200)
PRESETS = {
    "moco": by_size(
        imagenet=_imagenet(pair(augment.moco1), _moco(), curve=DROPS),
        small=_small(pair(augment.moco1), _moco(temperature=0.1, **_SMALL)),
        smoke=_moco(sizes=(32,), temperature=0.1, **_SMOKE),
    ),
    "moco_v2": by_size(
        imagenet=_imagenet(pair(augment.moco2), _moco(sizes=(2048, 128), temperature=0.2), curve=Cosine()),
        small=_small(pair(_without_blur), _moco(sizes=(512, 128), temperature=0.2, **_SMALL)),
        smoke=_moco(sizes=(64, 32), temperature=0.2, **_SMOKE),
    ),
}
