"""NPID: every image is a class of its own, known by its place in a memory bank."""

import keras
from keras import ops

from kvision import augment, checks, distribute, losses
from kvision.augment import Key, next_key
from kvision.ops import unit
from kvision.schedules import Cosine
from kvision.selfsup.bank import MemoryBank
from kvision.selfsup.presets import DROPS, Preset, by_size, resnet, sgd, single, zoo
from kvision.selfsup.projector import projector
from kvision.training import Objective

__all__ = ["NPID", "PRESETS"]


class NPID(Objective):
    """Non-parametric instance discrimination (Wu et al. 2018, arXiv 1805.01978, section 3).

    encoder: as `SimCLR` has it. views: a layer that makes the view "a" and hands on "index", a fixed number of each
    image in [0, count). count: images of the data set. negatives: None, the softmax over all images (the published
    CIFAR-10 script); else so many, drawn anew for each image and step (4096 in the paper, 32,000 in NPID++). momentum:
    of the bank. The proximal term of section 3.3 is in the paper, and not in the published code, nor here.
    """

    drops_tail = False

    def __init__(
        self,
        encoder: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        count: int,
        width: int = 128,
        negatives: int | None = None,
        temperature: float = 0.07,
        momentum: float = 0.5,
        seed: int | None = None,
    ):
        super().__init__(name="npid")
        if negatives is not None and negatives < 1:
            raise checks.error("negatives", expected="a count of at least 1, or None", received=negatives)
        self.encoder, self.views, self.temperature, self.negatives = encoder, views, temperature, negatives
        self.projector = projector(encoder.output_shape[-1], (width,))
        self.bank = MemoryBank(count, width, momentum=momentum)
        if negatives is not None:
            self.noise, self.partition = keras.random.SeedGenerator(seed), _Partition(count)

    def call(self, batch, training=False):
        views = self.look(batch, "a", "index")
        feature = unit(self.projector(self.encoder(views["a"], training=training), training=training))
        rows = self.bank(feature, views["index"], training=training)
        outputs = {"feature": feature, "positive": ops.sum(feature * ops.take(rows, views["index"], axis=0), axis=-1)}
        if self.negatives is None:
            return {**outputs, "similarity": ops.matmul(feature, ops.transpose(rows))}
        shape = (ops.shape(feature)[0], self.negatives)
        drawn = keras.random.randint(shape, 0, self.bank.count, seed=Key(next_key(self.noise)))
        noise = ops.einsum("bd,bmd->bm", feature, ops.take(rows, drawn, axis=0))
        log_partition = self.partition(noise / self.temperature, training=training)
        return {**outputs, "noise": noise, "log_partition": ops.broadcast_to(log_partition, shape[:1])}

    def objective(self, outputs):
        if self.negatives is None:
            found = losses.non_parametric_softmax(
                outputs["positive"], outputs["similarity"], temperature=self.temperature
            )
        else:
            found = losses.noise_contrastive(
                outputs["positive"],
                outputs["noise"],
                log_partition=outputs["log_partition"][0],
                count=self.bank.count,
                temperature=self.temperature,
            )
        return ops.mean(found)

    def trivial(self, outputs):
        if self.negatives is None:
            return ops.log(float(self.bank.count))
        m = float(self.negatives)
        return ops.log(1 + m) + m * ops.log1p(1 / m)

    def embedding(self, outputs):
        return outputs["feature"]


class _Partition(keras.layers.Layer):
    """ln Z, estimated from the first batch of a training and kept (section 3.2; one batch in the published code)."""

    def __init__(self, count: int):
        super().__init__(dtype="float32")
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.count = count
        self.log_z = self.add_weight((), initializer="zeros", name="log_z", **options)
        self.known = self.add_weight((), initializer="zeros", dtype="int", name="known", **options)
        self.built = True

    def call(self, logits, training=False):
        """logits: (B, m) of uniformly drawn rows -> scalar."""
        everywhere = distribute.gather_replicas(ops.stop_gradient(logits))
        mean = ops.logsumexp(everywhere) - ops.log(ops.cast(ops.size(everywhere), "float32"))
        found = ops.where(self.known > 0, ops.copy(self.log_z), mean + ops.log(float(self.count)))
        if training:
            self.log_z.assign(found)
            self.known.assign(1)
        return found


def _npid(**options):
    return lambda encoder, made, *, images, seed, **_: NPID(encoder, made, count=images, seed=seed, **options)


PRESETS = {
    "npid": by_size(
        imagenet=Preset(zoo("ResNet50"), single(augment.npid), _npid(negatives=4096), sgd(1e-4), 0.03, 256, 200, DROPS),
        small=Preset(resnet(16), single(augment.npid), _npid(temperature=0.1), sgd(5e-4), 0.06, 128, 100),
    ),
    "npid_plus_plus": by_size(
        imagenet=Preset(
            zoo("ResNet50"),
            single(augment.npid_plus_plus),
            _npid(negatives=32_000),
            sgd(1e-4, norms=False),
            0.12,
            1024,
            800,
            Cosine(end=0.001),
        ),
        small=Preset(
            resnet(16), single(augment.npid_plus_plus), _npid(temperature=0.1), sgd(5e-4, norms=False), 0.06, 128, 200
        ),
    ),
}
