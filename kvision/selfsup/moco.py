"""MoCo: a query finds the key of its image, made by a slow twin, among keys of earlier batches."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import augment, losses
from kvision.ops import unit
from kvision.schedules import Cosine
from kvision.selfsup.presets import DROPS, Preset, by_size, pair, resnet, sgd, zoo
from kvision.selfsup.projector import projector
from kvision.selfsup.queue import FeatureQueue
from kvision.selfsup.twin import MomentumTwin
from kvision.training import Objective

__all__ = ["PRESETS", "MoCo"]


class MoCo(Objective):
    """Momentum contrast (He et al. 2020, arXiv 1911.05722, algorithm 1).

    encoder, views: as `SimCLR` has them. queue_size: a multiple of the global batch. momentum: of the twin. groups: see
    `MomentumTwin`; the paper's 8 GPUs. sizes: of the head; (128,) is version 1, (2048, 128) without norm version 2
    (Chen et al. 2020, arXiv 2003.04297), with temperature .2.
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
        self.encoder, self.views, self.temperature = encoder, views, temperature
        self.projector = projector(encoder.output_shape[-1], sizes, norm=False)
        query = keras.Model(encoder.inputs[0], self.projector(encoder.output), name="query")
        self.twin = MomentumTwin(query, momentum=momentum, groups=groups, seed=seed)
        self.queue = FeatureQueue(queue_size, sizes[-1])

    def check_batch(self, rows):
        self.twin.check_batch(rows)
        self.queue.check_batch(rows)

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
        found = losses.info_nce(outputs["positive"], outputs["negatives"], temperature=self.temperature)
        return ops.mean(found)

    def trivial(self, outputs):
        return ops.log(1.0 + outputs["negatives"].shape[-1])

    def embedding(self, outputs):
        return outputs["query"]


def _moco(queue_size: int = 65536, **options):
    def method(encoder, made, *, images, seed, **_):
        size = queue_size
        while size > images and size % 2 == 0:  # a longer one has earlier keys of every image among its negatives
            size //= 2
        return MoCo(encoder, made, queue_size=size, seed=seed, **options)

    return method


def _without_blur(size: int) -> augment.View:
    return augment.moco2(size, blur=False)


_SMALL = {"queue_size": 4096, "momentum": 0.99, "groups": 4}
_SMOKE = {"queue_size": 64, "momentum": 0.9, "groups": 2}
PRESETS = {
    "moco": by_size(
        imagenet=Preset(zoo("ResNet50"), pair(augment.moco1), _moco(), sgd(1e-4), 0.03, 256, 200, DROPS),
        small=Preset(resnet(16), pair(augment.moco1), _moco(temperature=0.1, **_SMALL), sgd(5e-4), 0.12, 256, 200),
        smoke=_moco(sizes=(32,), temperature=0.1, **_SMOKE),
    ),
    "moco_v2": by_size(
        imagenet=Preset(
            zoo("ResNet50"),
            pair(augment.moco2),
            _moco(sizes=(2048, 128), temperature=0.2),
            sgd(1e-4),
            0.03,
            256,
            200,
            Cosine(),
        ),
        small=Preset(
            resnet(16),
            pair(_without_blur),
            _moco(sizes=(512, 128), temperature=0.2, **_SMALL),
            sgd(5e-4),
            0.12,
            256,
            200,
        ),
        smoke=_moco(sizes=(64, 32), temperature=0.2, **_SMOKE),
    ),
}
