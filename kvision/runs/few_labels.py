"""Trains and measures on a few labeled images of each class, for several numbers of labels and seeds."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision.runs.records import Records
from kvision.runs.train import trained

if TYPE_CHECKING:
    import keras

    from kvision.data import Images

__all__ = ["RECORD", "few", "probe", "summary", "train_all"]

RECORD = {"predicted": list, "seconds": float, "chosen": str}
"""The keys of the record of one training."""

_LEAST = 2  # images of each class: one to fit on and one to choose with
_SHORTEST = 10  # epochs of a training with many images


def few(labels: np.ndarray, fraction: float, *, seed: int) -> np.ndarray:
    """Chooses a share of the images of each class. A smaller share of the same seed is a part of a larger one.

    Args:
        labels: `(n,)` integers.
        fraction: Share of each class, in (0, 1]. At least 2 images of each class are chosen, if there are as many.
        seed: Seed of the choice.

    Returns:
        Sorted indices.
    """
    random, chosen = np.random.default_rng(seed), []
    for label in np.unique(labels):
        places = random.permutation(np.flatnonzero(labels == label))
        chosen.append(places[: max(_LEAST, round(fraction * len(places)))])
    return np.sort(np.concatenate(chosen))


def probe(features: np.ndarray, labels: np.ndarray, *, seed: int):
    """Fits logistic regression on features. A fifth of the rows chooses its strength, then it is fitted on all rows.

    Args:
        features: `(n, width)`.
        labels: `(n,)` integers, at least two of each class.
        seed: Seed of the choice of the fifth.

    Returns:
        The fitted head, and its choice (`kv.transfer.Choice`).
    """
    from kvision import data, transfer

    names = [str(number) for number in range(len(labels))]  # copies of images do no harm here
    train, validation = data.split(labels, names, fraction=0.2, seed=seed)
    choice = transfer.choose_head("logistic", features, labels, train=train, validation=validation)
    return choice.head.fit(features, labels), choice


def train_all(
    records: Records,
    name: str,
    model: "keras.Model",
    network: "Callable[[], keras.Model]",
    parts: "tuple[Images, Images]",
    *,
    fit: "Callable[[keras.Model, int, Any], Any]",
    steps: int,
    strategy: str,
) -> dict:
    """Trains a network on all given images for about `steps` steps, and predicts the test images.

    Args:
        records: Where finished trainings are recorded.
        name: The training's name within the run.
        model: The model that receives the weights, from images to probabilities, or a `kv.backbones.SharedLabels`.
        network: A function that creates the network to train. It is called in the strategy's scope.
        parts: Training images and test images.
        fit: A function that trains a network for a number of epochs with settings of checkpoints. It returns the
            history of Keras.
        steps: Number of steps. With many images more are done, so that each image is seen at least ten times.
        strategy: The devices to train on.

    Returns:
        The record: predicted classes, history, seconds, and the number of epochs as text.
    """
    from kvision import features, training

    train, test = parts
    epochs = max(_SHORTEST, math.ceil(steps * train.batch_size / len(train)))

    def fitted(resume):
        made, clock = network(), training.Clock()
        history = fit(made, epochs, {"checkpoints": resume, "callbacks": [clock]}).history
        return made, {"history": history, "seconds": round(clock.seconds, 2), "chosen": f"{epochs} epochs"}

    def measure():
        served = getattr(model, "served", model)  # without auxiliary classifiers
        return {"predicted": features.embed(served, test, progress=False).argmax(axis=1).tolist()}

    kinds = {**RECORD, "history": dict}
    return trained(records, name, model, fit=fitted, measure=measure, kinds=kinds, strategy=strategy)


def summary(records: Sequence[Mapping], truth: np.ndarray, labels: int) -> dict:
    """Returns the row of one way and one number of labels.

    Args:
        records: The record of each seed.
        truth: Labels of the test images.
        labels: Number of labeled images.

    Returns:
        The mean accuracy and its interval over the seeds (Student's t). With one seed, Wilson's interval over the test
        images.
    """
    from kvision import metrics

    right = [int((np.array(record["predicted"]) == truth).sum()) for record in records]
    accuracies = np.array(right) / len(truth)
    if len(records) == 1:
        interval = list(metrics.accuracy_interval(right[0], len(truth)))
    else:
        _, low, high = metrics.mean_interval(accuracies)
        interval = [max(low, 0.0), min(high, 1.0)]
    return {
        "accuracy": float(accuracies.mean()),
        "interval": interval,
        "labels": labels,
        "accuracies": accuracies.tolist(),
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "chosen": f"{labels} labels, {records[0]['chosen']}",
    }
