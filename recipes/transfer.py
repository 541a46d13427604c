"""Trains classifiers on a pre-trained network and exports the best one.

Computes the features of the images once. Fits nearest neighbors, a random forest and logistic
regression on these features. Also fine-tunes the network (Kornblith et al. 2019, arXiv 1805.08974).
All choices are made on the validation images. If the data has no validation images, a fifth of the
training images is used instead. The test images are used once, for the report.

Run:      kvision transfer                       handwritten digits, no download
          kvision transfer --data FOLDER         one sub-folder per class
          kvision transfer --data FILE.npz       x_train y_train x_test y_test class_names
Expect:   digits, seed 0, 96 px, 65 s on 2 CPU cores: knn .886, forest .894, logistic .922 of 359 test
          images; finetune .961 to .986 in four runs.
          CIFAR-10 subset, 10,000 training images, seed 0, 96 px, 2 CPU cores: .712, .692, .754 of
          2,000 test images; finetune .866 and .874 in two runs
"""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import kvision as kv
from kvision import checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

HEADS = ("knn", "forest", "logistic", "finetune")
_DIGITS_SIZE, _SMALL_SIZE = 96, 64
_RECORD = {
    "chosen": str,
    "validation_accuracy": float,
    "validation_log_loss": float,
    "predicted": list,
    "confidence": list,
    "seconds": float,
}
_RULE = (
    "The exported model has the highest accuracy on the validation images. Ties: the lowest log "
    "loss there, then the fewest parameters."
)


@dataclasses.dataclass(frozen=True)
class Config(runs.labeled.LabelSettings):
    """Settings of `kvision transfer`."""

    backbone: str = runs.backbone_setting()
    weights: str = runs.weights_setting()
    heads: tuple[str, ...] = runs.setting(HEADS, "classifiers to compare", group="model", check=limits.among(HEADS))
    image_size: int | None = runs.setting(
        None, "in pixels (default: the backbone's own; 96 for the digits)", group="data", check=limits.positive
    )
    small: bool = runs.setting(False, "use the smallest image size, at least 64 (faster)", group="data")
    schedule: str = runs.setting(
        "two_phase",
        "fine-tuning schedule: " + ", ".join(choices.SCHEDULES),
        check=limits.among(choices.SCHEDULES),
    )
    epochs: int | None = runs.setting(
        None, "epochs of fine-tuning; the best one is kept (default: the schedule's)", check=limits.positive
    )
    learning_rate: float | None = runs.setting(
        None, "peak in the last phase of fine-tuning (default: the schedule's)", check=limits.positive
    )
    find_learning_rate: bool = runs.setting(False, "search for this learning rate before training, and plot the search")
    augment: bool = runs.setting(True, "the schedule's random changes of images, such as flips")
    batch_size: int = runs.setting(32, "images per step, on all devices together", check=limits.positive)
    precision: str = runs.precision_setting()

    def check_together(self) -> None:
        """Checks the size of images against the backbone."""
        smallest = choices.BACKBONES[self.backbone]
        if self.image_size is not None and self.image_size < smallest:
            expected = f"at least {smallest} (pixels) for {self.backbone}"
            raise checks.UserError("image_size", expected=expected, received=self.image_size)


SMOKE = Config(train_per_class=12, test_per_class=10, epochs=2, small=True)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the results of reading. If None, nothing is cached.

    Returns:
        The data of the run.
    """
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # before the images are read, because reading takes longer
    small = max(_SMALL_SIZE, kv.backbones.info(config.backbone).smallest_size)
    options = {"image_size": _size(config), "batch_size": config.batch_size, "small": small, "cache": cache}
    data = runs.labeled.load(config, weights=config.weights, **options)
    runs.Pool.of(data, seed=config.seed)  # A pool needs each class in both parts. This call raises the error early.
    return data


def _size(config: Config) -> int:
    if config.image_size is not None:
        return config.image_size
    smallest = choices.BACKBONES[config.backbone]
    if config.small:
        return max(_SMALL_SIZE, smallest)
    return kv.backbones.info(config.backbone).image_size if config.data else max(_DIGITS_SIZE, smallest)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains every head of `config.heads`, and measures each on the test images once.

    The result has the head with the highest accuracy on the validation part. If several heads have the same accuracy,
    the lowest log loss on this part decides, and then the smallest number of parameters of the model.

    Args:
        split: The result of `load`. If it has no validation part, a part of `split.train` is used for validation.
        config: The settings.
        records: Where finished heads are recorded. If None, nothing is recorded.
        cache: A folder for features. If None, nothing is cached.

    Returns:
        The result.
    """
    records, test = records or runs.Records(), split.test
    weights = None if config.weights == "none" else config.weights
    backbone = kv.backbones.create(config.backbone, weights=weights, image_size=test.image_size, pooling="avg")
    pool = runs.Pool.of(split, seed=config.seed)
    if records.is_chief and (path := records.path("manifest.csv")):
        pool.write_manifest(path, test)
    found, models, history = {}, {}, {}
    features = _Features(None, None)  # Only the chief needs features.
    if records.is_chief and set(config.heads) - {"finetune"}:
        *parts, of_test = kv.features.embed_each(backbone, [*pool.images, test], cache=cache)
        features = _Features(np.concatenate(parts), of_test)
    for name in config.heads:
        print(f"{name} ...", flush=True)
        if name == "finetune":
            found[name], models[name] = _fine_tune(backbone, pool, test, features, config, records, cache)
            history = found[name]["history"]
        else:
            found[name], head = _fit_head(name, pool, features, records)
            models[name] = kv.transfer.attach(backbone, head)
    metrics = {name: _measure(record, test.labels) for name, record in found.items()}
    best = _best(found, {name: model.count_params() for name, model in models.items()})
    answers = runs.Answers(found[best]["predicted"], found[best]["confidence"])
    return runs.Result(
        model=models[best],
        history=history,
        metrics=metrics,
        best=best,
        task=kv.tasks.Classification(test.class_names),
        deciding={"validation": "validation_accuracy", "log loss": "validation_log_loss"},
        rule=_RULE,
        answers=answers,
        pictures={
            "confusion.png": lambda axes: kv.plots.confusion_matrix(
                axes, test.labels, np.array(answers.labels), test.class_names
            ),
            "accuracy.png": lambda axes: kv.plots.accuracy_bars(axes, metrics),
            **_learning_rate_picture(found.get("finetune", {}).get("found")),
        },
    )


class _Features(NamedTuple):
    """Features of the training and validation images, and of the test images. None if no head needs them."""

    pool: np.ndarray | None
    test: np.ndarray | None


def _best(records: dict[str, dict], parameters: dict[str, int]) -> str:
    """Returns the name of the best head, as defined by `_RULE`."""

    def rank(name: str) -> tuple[float, float, int]:
        return -records[name]["validation_accuracy"], records[name]["validation_log_loss"], parameters[name]

    return min(records, key=rank)


def _learning_rate_picture(found: dict | None) -> dict[str, Callable]:
    if found is None:
        return {}
    learning_rates, losses = np.array(found["learning_rates"]), np.array(found["losses"])
    curve = kv.schedules.FoundLearningRate(learning_rates, losses, found["suggestion"])
    return {"learning_rate.png": lambda axes: kv.plots.learning_rate_curve(axes, curve)}


def _measure(record: dict, labels: np.ndarray) -> dict:
    correct = int((np.array(record["predicted"]) == labels).sum())
    return {
        "accuracy": correct / len(labels),
        "interval": list(kv.metrics.accuracy_interval(correct, len(labels))),
        "seconds": record["seconds"],
        "chosen": record["chosen"],
        "validation_accuracy": record["validation_accuracy"],
        "validation_log_loss": record["validation_log_loss"],
        "lost": record.get("lost", []),  # files that vanished while the network trained
    }


def _fit_head(name: str, pool: runs.Pool, features: _Features, records: runs.Records):
    """Chooses the settings of a head on the validation part, and fits the head. Returns the record and the head."""
    path = records.path(f"{name}.npz")
    if record := records.done_or_wait(name, **_RECORD):
        return record, kv.heads.load(path)
    started = time.monotonic()
    head, chosen, accuracy, log_loss = kv.transfer.choose_head(
        name, features.pool, pool.labels, train=pool.train, validation=pool.validation
    )
    head.fit(features.pool[pool.final], pool.labels[pool.final])
    record = {
        "chosen": chosen,
        "validation_accuracy": accuracy,
        "validation_log_loss": log_loss,
        "predicted": head.predict(features.test).tolist(),
        "confidence": head.predict_proba(features.test).max(axis=1).tolist(),
        "seconds": round(time.monotonic() - started, 2),
    }
    if path is not None:
        kv.heads.save(head, path)
    records.finish(name, record)
    return record, head


def _fine_tune(backbone, pool: runs.Pool, test, features: _Features, config: Config, records: runs.Records, cache):
    """Fine-tunes, and keeps the epoch that is best on the validation part. Returns the record and the model."""
    train, validation = pool.parts
    options = {
        "epochs": config.epochs,
        "images": len(train),
        "batch_size": train.batch_size,
        "stages": len(kv.backbones.stages(backbone)),
    }
    schedule = kv.schedules.schedule(config.schedule, learning_rate=config.learning_rate, **options)
    head = _probe(backbone, pool, features, records, cache) if schedule.head == "logistic" else len(test.class_names)
    model = _classifier(backbone, head, config.seed)
    best = kv.training.KeepBest("val_accuracy")

    def fit(resume):
        nonlocal schedule
        augment = schedule.augment(config.seed) if schedule.augment and config.augment else None
        network = _classifier(backbone, head, config.seed, zeros=schedule.head == "zeros", augment=augment)
        kv.training.mixed(network.get_layer("body"), config.precision)
        batches, found, clock = kv.data.batches(train, seed=config.seed), None, kv.training.Clock()
        if config.find_learning_rate:
            found = _find_learning_rate(network, batches, schedule, records)
            schedule = kv.schedules.schedule(config.schedule, learning_rate=found["suggestion"], **options)
        history = kv.schedules.fit(
            network,
            batches,
            schedule.phases,
            epochs=schedule.epochs,
            optimizer=schedule.optimizer(),
            validation_data=kv.data.batches(validation),
            callbacks=[best, clock],
            verbose="auto" if records.is_chief else 0,
            checkpoints=resume,
        ).history
        best.restore()
        at_learning_rate = f" at {found['suggestion']:.1e}" if found else ""
        return network, {
            "chosen": f"epoch {best.epoch + 1} of {schedule.epochs}, {config.schedule}{at_learning_rate}",
            "history": history,
            "found": found,
            "lost": [lost.path for lost in batches.lost],
            "seconds": round(clock.seconds, 2),
        }

    def measure() -> dict:
        judged, answers = kv.features.embed_each(model, [validation, test], progress=False)
        return {
            "validation_accuracy": best.value,
            "validation_log_loss": kv.metrics.log_loss(judged, validation.labels),
            "predicted": answers.argmax(axis=1).tolist(),
            "confidence": answers.max(axis=1).tolist(),
        }

    kinds = {**_RECORD, "history": dict}
    record = runs.trained(records, "finetune", model, fit=fit, measure=measure, kinds=kinds, strategy=config.strategy)
    return record, model


def _probe(backbone, pool: runs.Pool, features: _Features, records: runs.Records, cache: Path | None):
    """Returns a logistic head, from which fine-tuning starts. It is fitted without the validation part."""
    path = records.path("probe.npz")
    if records.done_or_wait("probe"):
        return kv.heads.load(path)
    of_pool = features.pool
    if of_pool is None:
        of_pool = np.concatenate(kv.features.embed_each(backbone, list(pool.images), cache=cache))
    head, chosen, accuracy, _ = kv.transfer.choose_head(
        "logistic", of_pool, pool.labels, train=pool.train, validation=pool.validation
    )
    head.fit(of_pool[pool.train], pool.labels[pool.train])
    if path is not None:
        kv.heads.save(head, path)
    records.finish("probe", {"chosen": chosen, "validation_accuracy": accuracy})
    return head


def _find_learning_rate(model, batches, schedule, records: runs.Records) -> dict:
    """Searches for the learning rate of the schedule's last phase. Returns learning rates, losses and a suggestion."""
    if record := records.done("learning_rate", learning_rates=list, losses=list, suggestion=float):
        return record
    found = kv.schedules.find_learning_rate(model, batches, phase=schedule.phases[-1], optimizer=schedule.optimizer())
    record = {
        "learning_rates": found.learning_rates.tolist(),
        "losses": found.losses.tolist(),
        "suggestion": found.suggestion,
    }
    print(f"learning rate found: {found.suggestion:.1e}", flush=True)
    records.finish("learning_rate", record)
    return record


def _classifier(backbone, head, seed: int, *, zeros: bool = False, augment=None):
    """Creates a copy of the backbone with a fitted head, or with a new head for a number of classes."""
    import keras

    keras.utils.set_random_seed(seed)  # So the weights do not depend on the heads that were fitted before.
    model = kv.transfer.attach(keras.models.clone_model(backbone), head, augment=augment)
    model.get_layer("body").backbone.set_weights(backbone.get_weights())
    if zeros:
        layer = model.layers[-1]
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    return model


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
