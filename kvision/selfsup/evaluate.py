"""Evaluation of an encoder by nearest neighbors, a linear classifier, and the geometry of its features."""

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


_BATCH = 256  # Rows per step of the linear classifier, and images per batch if the images are an array.


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Test results of an encoder. Accuracies are in [0, 1].

    Attributes:
        knn: Accuracy of 200 nearest neighbors with a temperature of 0.1.
        knn_interval: 95 % interval of `knn`.
        knn_near: Accuracy of 20 nearest neighbors with a temperature of 0.07.
        linear: Accuracy of the linear classifier.
        linear_interval: 95 % interval of `linear`.
        learning_rate: The learning rate that was chosen for the linear classifier.
        uniformity: `kv.selfsup.uniformity` of the test features.
        spread: `kv.selfsup.spread` of the test features.
        alignment: `kv.selfsup.alignment` of two views of each test image, or None if no `view` was given.
        train_count: Number of training images.
        test_count: Number of test images.
        probe: The linear classifier, for `kv.transfer.attach(encoder, probe)`.
    """

    knn: float
    knn_interval: tuple[float, float]
    knn_near: float
    linear: float
    linear_interval: tuple[float, float]
    learning_rate: float
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
    progress: bool = True,
) -> Evaluation:
    """Evaluates an encoder by nearest neighbors and a linear classifier on its features.

    Each set of images is embedded once. Also evaluate `kv.selfsup.untrained(encoder)`. A linear classifier on a random
    network is far above chance, so only the difference between the two results was learned.

    Args:
        encoder: A model from images `(batch, height, width, 3)` in [0, 255] to features `(batch, features)`, such as
            `method.encoder`. It runs in inference mode.
        train: Training images without augmentation: `kv.data.Images`, or a pair of arrays (images, labels). Arrays are
            embedded in batches of 256 images. To change the batch size, use `kv.data.from_arrays`.
        test: Test images, in the same form as `train`.
        view: An augmentation such as `kv.augment.simclr(32)`. Use the same augmentation for all encoders that you
            compare. Two views of each test image are drawn to measure the alignment. If None, the alignment is not
            measured.
        cache: A folder in which features are cached, see `kv.features.embed`. If None, nothing is cached.
        seed: Seed of the linear classifier and of the views.
        epochs: Number of epochs of the linear classifier.
        progress: Whether to show a progress bar.

    Returns:
        All results, including the linear classifier.

    Raises:
        UserError: If `train` or `test` is not a set of labeled images, `view` is not an augmentation that makes one
            view, or the features are not finite.

    Example:
        >>> result = kv.selfsup.evaluate(method.encoder, train, test)  # doctest: +SKIP
        >>> result.knn, result.linear  # doctest: +SKIP
        (0.473, 0.521)
        >>> classifier = kv.transfer.attach(method.encoder, result.probe)  # doctest: +SKIP
    """
    images, labels = images_and_labels("train", train)
    test_images, test_labels = images_and_labels("test", test)
    aligned = None if view is None else alignment(*_of_views(encoder, test_images, view, seed, progress))
    features, test_features = embed_each(
        encoder, [images, test_images], batch_size=_BATCH, cache=cache, progress=progress
    )
    given = features, labels, test_features, test_labels
    probe = linear_probe(*given, epochs=epochs, batch_size=_BATCH, seed=seed)
    knn = knn_accuracy(*given)
    return Evaluation(
        knn=knn,
        knn_interval=accuracy_interval(round(knn * len(test_labels)), len(test_labels)),
        knn_near=knn_accuracy(*given, n_neighbors=20, temperature=0.07),
        linear=probe.accuracy,
        linear_interval=probe.interval,
        learning_rate=probe.learning_rate,
        uniformity=uniformity(test_features),
        spread=spread(test_features),
        alignment=aligned,
        train_count=len(labels),
        test_count=len(test_labels),
        probe=probe,
    )


def _of_views(encoder, images: data.Images | np.ndarray, view: augment.Keyed, seed: int, progress: bool):
    """Returns the features of two views of each image."""
    if not isinstance(view, augment.Keyed) or isinstance(view, augment.MultiView):
        expected = "a layer of kv.augment that makes one view"
        raise checks.UserError("view", expected=expected, received=type(view).__name__)
    drawn = [_Views(images, view, augment.fold([int32(seed), number], 0)) for number in (0, 1)]
    return embed_each(encoder, drawn, progress=progress)


@dataclass(frozen=True)
class _Views:
    """Batches of one view of each image."""

    images: data.Images | np.ndarray
    view: augment.Keyed
    key: tuple

    def __len__(self) -> int:
        return math.ceil(len(self.images) / getattr(self.images, "batch_size", _BATCH))

    def __iter__(self) -> Iterator[np.ndarray]:
        if isinstance(self.images, np.ndarray):
            batches = (self.images[i : i + _BATCH] for i in range(0, len(self.images), _BATCH))
        else:
            batches = (batch for batch, *_ in self.images)
        for index, batch in enumerate(batches):
            yield np.asarray(keras.ops.convert_to_numpy(self.view(batch, key=augment.fold(self.key, index))))


def untrained(encoder: keras.Model, seed: int = 0) -> keras.Model:
    """Creates the same network with new random weights, as the baseline of an evaluation.

    Constants that were measured and not learned (`keras.layers.Normalization`) are kept. This function does not change
    the state of Python's random numbers.

    Args:
        encoder: A functional model.
        seed: Seed of the new weights.

    Returns:
        A model of the same architecture, with weights from the initializers of its layers.
    """
    state = random.getstate()
    random.seed(seed)  # When Keras creates an initializer, it draws the seed from this generator.
    try:
        fresh = keras.models.clone_model(encoder)
    finally:
        random.setstate(state)
    for old, new in zip(encoder._flatten_layers(), fresh._flatten_layers(), strict=True):
        if isinstance(old, keras.layers.Normalization) and old.weights:
            new.set_weights(old.get_weights())
            new.finalize_state()
    return fresh
