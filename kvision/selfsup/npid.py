"""NPID: treats every image as its own class, with features from a memory bank."""

import functools

import keras
from keras import ops

from kvision import augment, checks, distribute, losses
from kvision.augment import Key, next_key
from kvision.ops import unit
from kvision.schedules import Cosine
from kvision.selfsup.bank import MemoryBank
from kvision.selfsup.presets import DROPS, Preset, by_size, sgd, single
from kvision.selfsup.projector import projector
from kvision.training import Objective

__all__ = ["NPID", "PRESETS"]


class NPID(Objective):
    """Non-parametric instance discrimination.

    A memory bank keeps the features of all images from earlier epochs. The loss uses these features to distinguish each
    image from all others. The proximal term of section 3.3 is neither in the published code nor in this class.

    Args:
        encoder: A functional model from images `(batch, height, width, 3)` in [0, 255] to features
            `(batch, features)`.
        views: A layer that makes the augmented images "a" of a batch and keeps its "index", such as
            `kv.augment.MultiView`. If None, the data must contain both. The index of an image is a fixed number in
            [0, count).
        count: Number of images in the data set.
        width: Width of the features in the bank. The default is from the paper.
        negatives: Number of negatives that are drawn for each image in each step (4096 in the paper, 32,000 in NPID++).
            If None, the softmax over all images is computed, as in the published CIFAR-10 script.
        temperature: Divides the cosine similarities, a positive number. The default is from the paper.
        momentum: Momentum of the memory bank, in [0, 1). The default is from the published code.
        seed: Seed of the negatives. If None, the seed is random.

    Raises:
        UserError: If a number is out of its range.

    Example:
        >>> encoder = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
        >>> views = kv.augment.MultiView({"a": kv.augment.npid(32)})
        >>> method = kv.selfsup.NPID(encoder, views, count=1000)

    References:
        Wu et al. 2018, arXiv 1805.01978, section 3.
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
        checks.positive({"width": width, "negatives": negatives})
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
        """Returns the mean loss of this replica's batch."""
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
        """Returns the loss at chance: log(count), or the chance loss of noise-contrastive estimation."""
        if self.negatives is None:
            return ops.log(float(self.bank.count))
        m = float(self.negatives)
        return ops.log(1 + m) + m * ops.log1p(1 / m)

    def embedding(self, outputs):
        """Returns the normalized features."""
        return outputs["feature"]


class _Partition(keras.layers.Layer):
    """Estimates ln Z from the first batch of a training and keeps it (section 3.2 and the published code)."""

    def __init__(self, count: int):
        super().__init__(dtype="float32")
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.count = count
        self.log_z = self.add_weight((), initializer="zeros", name="log_z", **options)
        self.known = self.add_weight((), initializer="zeros", dtype="int", name="known", **options)
        self.built = True

    def call(self, logits, training=False):
        """Returns ln Z, a scalar, for logits `(batch, negatives)` of uniformly drawn rows."""
        everywhere = distribute.gather_replicas(ops.stop_gradient(logits))
        mean = ops.logsumexp(everywhere) - ops.log(ops.cast(ops.size(everywhere), "float32"))
        found = ops.where(self.known > 0, ops.copy(self.log_z), mean + ops.log(float(self.count)))
        if training:
            self.log_z.assign(found)
            self.known.assign(1)
        return found


def _npid(**options):
    return lambda encoder, views, *, images, seed, **_: NPID(encoder, views, count=images, seed=seed, **options)


_v1 = functools.partial(Preset, single(augment.npid))
_plus_plus = functools.partial(Preset, single(augment.npid_plus_plus))
PRESETS = {
    "npid": by_size(
        imagenet=_v1(_npid(negatives=4096), sgd(1e-4), learning_rate=0.03, batch_size=256, epochs=200, curve=DROPS),
        small=_v1(_npid(temperature=0.1), sgd(5e-4), learning_rate=0.06, batch_size=128, epochs=100),
    ),
    "npid_plus_plus": by_size(
        imagenet=_plus_plus(
            _npid(negatives=32_000),
            sgd(1e-4, norms=False),
            learning_rate=0.12,
            batch_size=1024,
            epochs=800,
            curve=Cosine(end=0.001),
        ),
        small=_plus_plus(
            _npid(temperature=0.1), sgd(5e-4, norms=False), learning_rate=0.06, batch_size=128, epochs=200
        ),
    ),
}
