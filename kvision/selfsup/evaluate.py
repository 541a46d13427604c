"""What an encoder is worth: one pass over the images, two over views, every number by which methods are compared."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kvision import augment, checks, data
from kvision.augment.keys import int32
from kvision.features import embed_each
from kvision.metrics import accuracy_interval
from kvision.selfsup.geometry import alignment, spread, uniformity
from kvision.selfsup.inputs import Labeled, images_and_labels
from kvision.selfsup.knn import knn_accuracy
from kvision.selfsup.linear_probe import LinearProbe, linear_probe

__all__ = ["Evaluation", "evaluate", "untrained"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Of an encoder; accuracies in [0, 1] on the held-out images, with their 95 % intervals.

    knn: k = 200, temperature .1. knn_near: k = 20, temperature .07. linear: of `probe`, which
    `kv.transfer.attach(encoder, evaluation.probe)` takes, at the rate that suited. uniformity, spread: of the held-out
    features. alignment: of two views of each held-out image; None without a view. train_count, test_count: images.
    """

    knn: float
    knn_interval: tuple[float, float]
    knn_near: float
    linear: float
    linear_interval: tuple[float, float]
    rate: float
    uniformity: float
    spread: float
    alignment: float | None
    train_count: int
    test_count: int
    probe: LinearProbe


def evaluate(
    encoder: keras.Model,
    train: Labeled,
    test: Labeled,
    *,
    view: augment.Keyed | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
    epochs: int = 30,
    batch_size: int = 256,
    progress: bool = True,
) -> Evaluation:
    """Judges an encoder by nearest neighbors and a linear classifier on its features.

    Each set is embedded once. Judge `untrained(encoder)` beside it: a random network with a linear classifier is far
    above chance.

    Args:
        encoder: A model from images `(batch, height, width, 3)` in [0, 255] to features `(batch, features)`, such as
            `method.encoder` without its projector. It runs in inference mode.
        train: `kv.data.Images`, or arrays (images, labels), without augmentation.
        test: As `train`.
        view: Such as `kv.augment.simclr(32)`, the same for all encoders that are compared. Two of each test image,
            drawn by `seed`, measure the alignment. If None, it is not measured.
        cache: A folder for features, see `kv.features.embed`.
        seed: Seed of the linear classifier and the views.
        epochs: Epochs of the linear classifier.
        batch_size: Images in a batch.
        progress: Whether a bar is shown.
    """
    images, labels = images_and_labels("train", train)
    held_out, truth = images_and_labels("test", test)
    aligned = None if view is None else alignment(*_of_views(encoder, held_out, view, seed, batch_size, progress))
    bank, features = embed_each(encoder, [images, held_out], batch_size=batch_size, cache=cache, progress=progress)
    probe = linear_probe(bank, labels, features, truth, epochs=epochs, batch_size=batch_size, seed=seed)
    knn = knn_accuracy(bank, labels, features, truth)
    return Evaluation(
        knn=knn,
        knn_interval=accuracy_interval(round(knn * len(truth)), len(truth)),
        knn_near=knn_accuracy(bank, labels, features, truth, k=20, temperature=0.07),
        linear=probe.accuracy,
        linear_interval=probe.interval,
        rate=probe.rate,
        uniformity=uniformity(features),
        spread=spread(features),
        alignment=aligned,
        train_count=len(labels),
        test_count=len(truth),
        probe=probe,
    )


def _of_views(
    encoder, images: data.Images | np.ndarray, view: augment.Keyed, seed: int, batch_size: int, progress: bool
):
    """Features of two views of each image."""
    if not isinstance(view, augment.Keyed) or isinstance(view, augment.MultiView):
        raise checks.error("view", expected="a layer of kvision.augment for one view", received=type(view).__name__)

    drawn = [_Views(images, view, augment.fold([int32(seed), number], 0), batch_size) for number in (0, 1)]
    return embed_each(encoder, drawn, progress=progress)


@dataclass(frozen=True)
class _Views:
    """Batches of one view of each image."""

    images: data.Images | np.ndarray
    view: augment.Keyed
    key: tuple
    batch_size: int

    def __len__(self) -> int:
        return math.ceil(len(self.images) / getattr(self.images, "batch_size", self.batch_size))

    def __iter__(self) -> Iterator[np.ndarray]:
        if isinstance(self.images, np.ndarray):
            batches = (self.images[i : i + self.batch_size] for i in range(0, len(self.images), self.batch_size))
        else:
            batches = (batch for batch, *_ in self.images)
        for index, batch in enumerate(batches):
            yield np.asarray(keras.ops.convert_to_numpy(self.view(batch, key=augment.fold(self.key, index))))


def untrained(encoder: keras.Model, seed: int = 0) -> keras.Model:
    """The same network with fresh weights, as its initializers draw them from `seed`: the row that others must beat.

    Constants that were measured and not learned (`keras.layers.Normalization`) stay. The program's random numbers go on
    as if nothing had been drawn.
    """
    state = random.getstate()
    random.seed(seed)  # Keras' initializers take their seeds from it, at the time when they are made
    try:
        fresh = keras.models.clone_model(encoder)
    finally:
        random.setstate(state)
    for old, new in zip(encoder._flatten_layers(), fresh._flatten_layers(), strict=True):
        if isinstance(old, keras.layers.Normalization) and old.weights:
            new.set_weights(old.get_weights())
            new.finalize_state()
    return fresh
