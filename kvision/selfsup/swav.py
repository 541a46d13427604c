"""SwAV: views of an image predict each other's place among prototypes that all images share evenly."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import augment, backbones, checks, distribute, losses
from kvision.augment import MultiView
from kvision.ops import unit
from kvision.schedules import Cosine
from kvision.selfsup.countdown import Countdown
from kvision.selfsup.presets import Preset, by_size, lars, pair, resnet, zoo
from kvision.selfsup.projector import projector
from kvision.selfsup.prototypes import Prototypes
from kvision.selfsup.queue import FeatureQueue
from kvision.selfsup.sinkhorn import sinkhorn
from kvision.training import AdamW, Objective

__all__ = ["PRESETS", "SwAV"]

CROPS = ("a", "b")  # the views that are assigned; all others only predict


class SwAV(Objective):
    """Swapping assignments between views (Caron et al. 2020, arXiv 2006.09882, section 3, algorithm 1).

    encoder: as `SimCLR` has it. views: a layer that makes "a" and "b" and, for multi-crop, any others; None: the data
    brings them. crop_sizes: of the others, {view: pixels}; an encoder of a fixed size runs on them as well, with the
    same weights (`kv.backbones.at_size`). prototypes: 3000 for ImageNet. frozen_steps: see `Prototypes`. queue_size:
    features of earlier batches that help to balance small batches; 0 is none (section 4.1: 3840 for a batch of 256),
    used from the training step queue_start on, and when it is full. epsilon, iterations: of `sinkhorn`, on all
    replicas' batch together.
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
        self.encoder, self.views, self.temperature = encoder, views, temperature
        self.epsilon, self.iterations = epsilon, iterations
        self.crops = dict(crop_sizes or {})
        if set(self.crops) & set(CROPS):
            raise checks.error("crop_sizes", expected="views beside 'a' and 'b'", received=sorted(self.crops))
        self.names = (*CROPS, *sorted(self.crops, key=self.crops.__getitem__))  # views of one size stand together
        if isinstance(views, MultiView) and set(views.views) != set(self.names):
            expected = f"sizes of all views but 'a' and 'b': {sorted({*views.views} - {*CROPS})}"
            raise checks.error("crop_sizes", expected=expected, received=self.crops)
        self.small = {size: backbones.at_size(encoder, size) for size in sorted(set(self.crops.values()))}
        self.projector = projector(encoder.output_shape[-1], sizes)
        self.prototypes = Prototypes(prototypes, sizes[-1], frozen_steps=frozen_steps)
        self.queues = [FeatureQueue(queue_size, sizes[-1]) for _ in CROPS] if queue_size else []
        self.start = Countdown(queue_start)

    def check_batch(self, rows):
        for queue in self.queues:
            queue.check_batch(rows)

    def call(self, batch, training=False):
        views = self.look(batch, *self.names)
        features = [self.encoder(ops.concatenate([views[name] for name in CROPS]), training=training)]
        for size, encoder in self.small.items():  # one call for all views of a size
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
        """rows (B, width) of this replica -> their codes (B, K), balanced over all replicas and the queue."""
        everywhere = distribute.gather_replicas(ops.stop_gradient(rows))
        # training=False is said, since Keras hands the step's own down, and the frozen steps would pass several times
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
        codes, scores = [outputs[f"code_{n}"] for n in CROPS], [outputs[f"score_{n}"] for n in self.names]
        return ops.mean(losses.swapped_prediction(codes, scores, temperature=self.temperature))

    def trivial(self, outputs):
        return ops.log(float(outputs["score_a"].shape[-1]))

    def embedding(self, outputs):
        return outputs["feature"]


def _swav(*, frozen_epochs: int, crops: bool = False, **options):
    def method(encoder, made, *, steps, image_size, **_):
        crop_sizes = dict.fromkeys("cdefgh", _small_crop(image_size)) if crops else None
        return SwAV(encoder, made, crop_sizes=crop_sizes, frozen_steps=frozen_epochs * steps, **options)

    return method


def _crops(size: int) -> keras.layers.Layer:
    """Multi-crop: two of 224 and six of 96 pixels, in their proportion at other sizes."""
    big, small = augment.swav(size), augment.swav(_small_crop(size), area=(0.05, 0.14))
    return augment.MultiView({"a": big, "b": big, **dict.fromkeys("cdefgh", small)})


def _small_crop(size: int) -> int:
    return round(size * 96 / 224)


def _milder(size: int) -> augment.View:
    # with the area of SwAV's large crops, not (0.08, 1) as published without small ones: README's rows are of this
    return augment.swav(size, strength=0.5, blur=False)


def _adamw() -> keras.optimizers.Optimizer:
    made = AdamW(weight_decay=1e-6)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "prototypes"])
    return made


PRESETS = {
    "swav": by_size(
        imagenet=Preset(
            zoo("ResNet50"),
            _crops,
            _swav(frozen_epochs=1, crops=True),
            lars(1e-6),
            4.8,
            4096,
            800,
            Cosine(0.0125, start=0.0625, end=0.001),
        ),
        small=Preset(
            resnet(16), pair(_milder), _swav(sizes=(512, 128), prototypes=128, frozen_epochs=1), _adamw, 2e-3, 256, 200
        ),
        smoke=_swav(sizes=(64, 32), prototypes=16, frozen_epochs=0),
    )
}
