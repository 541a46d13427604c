"""SwAV: predicts the cluster of one view of an image from the other views of the same image."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import augment, backbones, checks, distribute, losses
from kvision.augment import MultiView
from kvision.ops import unit
from kvision.schedules import Cosine
from kvision.selfsup.countdown import Countdown
from kvision.selfsup.presets import Preset, by_size, lars, pair
from kvision.selfsup.projector import projector
from kvision.selfsup.prototypes import Prototypes
from kvision.selfsup.queue import FeatureQueue
from kvision.selfsup.sinkhorn import sinkhorn
from kvision.training import AdamW, Objective

__all__ = ["PRESETS", "SwAV"]

CROPS = ("a", "b")  # The views that are assigned to prototypes. All other views only predict.


class SwAV(Objective):
    """Swapped prediction of cluster assignments between views.

    The views "a" and "b" of an image are assigned to prototypes so that the batch uses all prototypes equally. The
    assignment of each of these two views is predicted from all other views.

    Args:
        encoder: A functional model from images `(batch, height, width, 3)` in [0, 255] to features
            `(batch, features)`.
        views: A layer that makes the views "a" and "b" of a batch and, for multi-crop, any number of further views. An
            example is `kv.augment.MultiView`. If None, the data must contain them.
        crop_sizes: Dictionary from the name of each further view to its size in pixels. An encoder with a fixed image
            size also runs on these sizes, with the same weights (`kv.backbones.at_size`). The paper uses six further
            views of 96 pixels. If None, there are no further views.
        sizes: Widths of the layers of the projector. The default is from the paper, for a ResNet-50.
        prototypes: Number of prototypes. The default is from the paper, for ImageNet.
        temperature: Divides the cosines between features and prototypes. The default is from the paper.
        epsilon: Strength of the entropy term of `kv.selfsup.sinkhorn`. The default is from the paper.
        iterations: Iterations of `kv.selfsup.sinkhorn`. The default is from the paper.
        frozen_steps: Number of training steps, counted from the start, in which the prototypes do not change. The
            published code uses one epoch, which is 313 steps with batches of 4096. The default is 0.
        queue_size: Number of features of earlier batches that help to assign small batches, for each of "a" and "b".
            The paper uses 3840 with batches of 256 (section 4.1), and no queue with batches of 4096. The default of 0
            means no queue.
        queue_start: Training step from which on the queue is used. The queue must also be full. The published code
            starts at epoch 15 for batches of 256. The default is 0.

    Raises:
        UserError: If the names in `crop_sizes` are not those of the further views in `views`, or a number is out of its
            range.

    Example:
        >>> encoder = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
        >>> view = kv.augment.swav(32, strength=0.5, blur=False)
        >>> views = kv.augment.MultiView({"a": view, "b": view})
        >>> method = kv.selfsup.SwAV(encoder, views, sizes=(64, 32), prototypes=16)

    References:
        Caron et al. 2020, arXiv 2006.09882, section 3 and algorithm 1.
    """

    def __init__(
        self,
        encoder: keras.Model,
        views: keras.layers.Layer | None = None,
        *,
        crop_sizes: dict[str, int] | None = None,
        sizes: Sequence[int] = (2048, 128),
        prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        frozen_steps: int = 0,
        queue_size: int = 0,
        queue_start: int = 0,
    ):
        super().__init__(name="swav")
        checks.positive({"prototypes": prototypes})
        self.encoder, self.views, self.temperature = encoder, views, temperature
        self.epsilon, self.iterations = epsilon, iterations
        self.crops = dict(crop_sizes or {})
        if set(self.crops) & set(CROPS):
            raise checks.UserError("crop_sizes", expected="views other than 'a' and 'b'", received=sorted(self.crops))
        self.names = (*CROPS, *sorted(self.crops, key=self.crops.__getitem__))  # Views of one size are neighbors.
        if isinstance(views, MultiView) and set(views.views) != set(self.names):
            expected = f"the sizes of all views except 'a' and 'b': {sorted({*views.views} - {*CROPS})}"
            raise checks.UserError("crop_sizes", expected=expected, received=self.crops)
        self.small = {size: backbones.at_size(encoder, size) for size in sorted(set(self.crops.values()))}
        self.projector = projector(encoder.output_shape[-1], sizes)
        self.prototypes = Prototypes(prototypes, sizes[-1], frozen_steps=frozen_steps)
        self.queues = [FeatureQueue(queue_size, sizes[-1]) for _ in CROPS] if queue_size else []
        self.start = Countdown(queue_start, argument="queue_start")

    def check_batch(self, batch_size):
        """Checks that the batch size suits the queue."""
        for queue in self.queues:
            queue.check_batch(batch_size)

    def call(self, batch, training=False):
        views = self.look(batch, *self.names)
        features = [self.encoder(ops.concatenate([views[name] for name in CROPS]), training=training)]
        for size, encoder in self.small.items():  # One call for all views of a size.
            images = [views[name] for name in self.names if self.crops.get(name) == size]
            features.append(encoder(ops.concatenate(images), training=training))
        rows = unit(self.projector(ops.concatenate(features), training=training))
        parts = ops.split(rows, len(self.names))
        scores = ops.split(self.prototypes(rows, training=training), len(self.names))
        outputs = {f"score_{name}": score for name, score in zip(self.names, scores, strict=True)}
        waits = self.start(rows, training=training) if self.queues else None
        for number, name in enumerate(CROPS):
            outputs[f"code_{name}"] = self._codes(parts[number], number, waits, training)
        return {**outputs, "feature": parts[0]}

    def _codes(self, rows, number: int, waits, training: bool):
        """Returns the codes of this replica's features, balanced over all replicas and the queue."""
        everywhere = distribute.gather_replicas(ops.stop_gradient(rows))
        # Without training=False, Keras would pass training=True on, and a step would count as several frozen steps.
        score = self.prototypes(everywhere, training=False)
        balance = {"epsilon": self.epsilon, "iterations": self.iterations}
        codes = sinkhorn(score, **balance)
        if self.queues:
            queue = self.queues[number]
            used = ops.logical_and(ops.logical_not(waits), queue.count >= queue.size)
            earlier = self.prototypes(queue(rows, training=training), training=False)
            longer = sinkhorn(ops.concatenate([score, earlier]), **balance)
            codes = ops.where(used, longer[: ops.shape(score)[0]], codes)
        count = ops.shape(rows)[0]
        return codes[distribute.replica_id() * count :][:count]

    def objective(self, outputs):
        """Returns the mean loss of this replica's batch."""
        codes, scores = [outputs[f"code_{n}"] for n in CROPS], [outputs[f"score_{n}"] for n in self.names]
        return ops.mean(losses.swapped_prediction(codes, scores, temperature=self.temperature))

    def trivial(self, outputs):
        """Returns the loss at chance, log(prototypes)."""
        return ops.log(float(outputs["score_a"].shape[-1]))

    def embedding(self, outputs):
        """Returns the normalized features of the view "a"."""
        return outputs["feature"]


def _swav(*, frozen_epochs: int, crops: bool = False, **options):
    def method(encoder, views, *, steps, image_size, **_):
        crop_sizes = dict.fromkeys("cdefgh", _small_crop(image_size)) if crops else None
        return SwAV(encoder, views, crop_sizes=crop_sizes, frozen_steps=frozen_epochs * steps, **options)

    return method


def _crops(size: int) -> keras.layers.Layer:
    """Creates multi-crop: two views of 224 pixels and six of 96 pixels. Other image sizes keep this proportion."""
    big, small = augment.swav(size), augment.swav(_small_crop(size), area=(0.05, 0.14))
    return augment.MultiView({"a": big, "b": big, **dict.fromkeys("cdefgh", small)})


def _small_crop(size: int) -> int:
    return round(size * 96 / 224)


def _milder(size: int) -> augment.View:
    # The area is that of multi-crop, although there are no small crops, because the benchmarks were measured with this
    # area. Without small crops, the paper uses (0.08, 1).
    return augment.swav(size, strength=0.5, blur=False)


def _adamw() -> keras.optimizers.Optimizer:
    made = AdamW(weight_decay=1e-6)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "prototypes"])
    return made


PRESETS = {
    "swav": by_size(
        imagenet=Preset(
            _crops,
            _swav(frozen_epochs=1, crops=True),
            lars(1e-6),
            learning_rate=4.8,
            batch_size=4096,
            epochs=800,
            curve=Cosine(0.0125, start=0.0625, end=0.001),
        ),
        small=Preset(
            pair(_milder),
            _swav(sizes=(512, 128), prototypes=128, frozen_epochs=1),
            _adamw,
            learning_rate=2e-3,
            batch_size=256,
            epochs=200,
        ),
        smoke=_swav(sizes=(64, 32), prototypes=16, frozen_epochs=0),
    )
}
