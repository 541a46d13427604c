"""Transfer learning: a pre-trained backbone, any classifier on its features, fine-tuning, export of what won.

Reproduces the transfer protocols of Kornblith et al. 2019 (arXiv 1805.08974: classifiers on fixed features, then
fine-tuning) with nearest neighbours and a random forest beside logistic regression.

Run:      kvision transfer                       scikit-learn's digits, EfficientNet-Lite0, no download
          kvision transfer --data FOLDER         one sub-folder per class
          kvision transfer --data FILE.npz       x_train y_train x_test y_test class_names
Expect:   built-in digits: knn .886, forest .894, logistic .922, finetune .986 of 359 held-out images, .978, .975 and
          .961 in other runs (seed 0, 96 px, 65 s on 2 CPU cores, on slower ones some 4 minutes). CIFAR-10 subset,
          10,000 training images at 96 px: .712, .692, .754 of 2,000, finetune .866 and .874 in two runs (seed 0,
          2 CPU cores, 14 minutes beside other work). With
          --schedule augmented 1.2 points more than with two_phase on an H200 (JAX, seeds 0 to 2), see README

k, metric, C, the epoch and the exported head are chosen on the validation images: those of the data, or a fifth of the
training images. The test images are used once.
"""

import dataclasses
import hashlib
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
class Config(runs.Settings):
    backbone: str = runs.backbone_setting()
    weights: str = runs.weights_setting()
    heads: tuple[str, ...] = runs.setting(HEADS, "what to train on it", check=limits.among(HEADS))
    image_size: int | None = runs.setting(
        None, "pixels; default: the backbone's own, 96 for the built-in digits", check=limits.positive
    )
    small: bool = runs.setting(False, "the smallest images the backbone takes, at least 64 pixels")
    schedule: str = runs.setting(
        "two_phase",
        "schedule of fine-tuning: " + ", ".join(choices.SCHEDULES),
        check=limits.among(choices.SCHEDULES),
    )
    epochs: int | None = runs.setting(
        None, "of fine-tuning, the best one is kept; default: the schedule's own", check=limits.positive
    )
    learning_rate: float | None = runs.setting(
        None,
        "peak of the learning rate, in the schedule's last phase; default: the schedule's own",
        check=limits.positive,
    )
    find_rate: bool = runs.setting(False, "look for that rate before, and draw the search")
    augment: bool = runs.setting(True, "the random changes to images that the schedule prescribes (flips)")
    batch_size: int = runs.setting(32, "images a step, on all devices together", check=limits.positive)
    precision: str = runs.setting(
        "float32",
        "of fine-tuning: float32, mixed_bfloat16, or on a GPU mixed_float16",
        check=limits.among(choices.PRECISIONS),
    )
    pattern: str | None = runs.setting(
        None, "regular expression that finds the class in file names, as '(.+)_[0-9]+' does in cat_12.jpg"
    )
    train_per_class: int | None = runs.setting(
        None, "use only so many training images of each class", check=limits.two_per_class
    )
    test_per_class: int | None = runs.setting(
        None, "use only so many held-out images of each class", check=limits.positive
    )

    def check_together(self) -> None:
        """Checks the size of images against the backbone."""
        smallest = choices.BACKBONES[self.backbone]
        if self.image_size is not None and self.image_size < smallest:
            expected = f"at least {smallest} (pixels) for {self.backbone}"
            raise checks.error("--image-size", expected=expected, received=self.image_size)


SMOKE = Config(train_per_class=12, test_per_class=10, epochs=2, small=True)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Reads, checks and splits the data. cache: a folder for what was scanned, None keeps nothing."""
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # better said before the scan
    data = runs.labeled(
        config.data,
        image_size=_size(config),
        batch_size=config.batch_size,
        seed=config.seed,
        train_per_class=config.train_per_class,
        test_per_class=config.test_per_class,
        small=max(_SMALL_SIZE, kv.backbones.info(config.backbone).smallest_size),
        pattern=config.pattern,
        cache=cache,
    )
    runs.Pool.of(data, seed=config.seed)  # A class must be in both of its parts: an error comes now.
    if config.weights in ("imagenet", "none") or not Path(config.weights).is_file():
        return data
    weights = hashlib.sha256(Path(config.weights).read_bytes()).hexdigest()
    return dataclasses.replace(data, fingerprint=hashlib.sha256((data.fingerprint + weights).encode()).hexdigest())


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

    The result is the head with the highest accuracy on the validation part. Among equals it is the one with the lowest
    log loss there, and then the one whose model has the fewest parameters.

    Args:
        split: What `load` returned. Without a validation part, a part of `split.train` is taken for it.
        config: The settings.
        records: Where finished heads are recorded. If None, nothing is kept.
        cache: A folder for features. If None, nothing is kept.
    """
    records, test = records or runs.Records(), split.test
    weights = None if config.weights == "none" else config.weights
    backbone = kv.backbones.create(config.backbone, weights=weights, image_size=test.image_size, pooling="avg")
    pool = runs.Pool.of(split, seed=config.seed)
    if records.is_chief and (path := records.path("manifest.csv")):
        pool.write_manifest(path, test)
    found, models, history = {}, {}, {}
    features = _Features(None, None)  # of other workers than the chief
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
            **_rate_picture(found.get("finetune", {}).get("found")),
        },
    )


class _Features(NamedTuple):
    """Features of the training and validation images, and of the test images; None where no head needs them."""

    pool: np.ndarray | None
    test: np.ndarray | None


def _best(records: dict[str, dict], parameters: dict[str, int]) -> str:
    """The name that `_RULE` chooses."""

    def rank(name: str) -> tuple[float, float, int]:
        return -records[name]["validation_accuracy"], records[name]["validation_log_loss"], parameters[name]

    return min(records, key=rank)


def _rate_picture(found: dict | None) -> dict[str, Callable]:
    if found is None:
        return {}
    curve = kv.schedules.FoundRate(np.array(found["rates"]), np.array(found["losses"]), found["suggestion"])
    return {"rate.png": lambda axes: kv.plots.rate_curve(axes, curve)}


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
    """Chooses on the validation part, and fits the choice; returns the record and the head."""
    path = records.path(f"{name}.npz")
    if record := records.done_or_wait(name, **_RECORD):
        return record, kv.heads.load(path)
    started = time.monotonic()
    head, chosen, accuracy, log_loss = kv.transfer.choose_head(
        name, features.pool, pool.labels, fit=pool.train, tune=pool.validation
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
    """Trains by the schedule and keeps the best epoch on the validation part; returns the record and the model."""
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
        batches, found, clock = kv.data.pipeline(train, seed=config.seed), None, kv.training.Clock()
        if config.find_rate:
            found = _find_rate(network, batches, schedule, records)
            schedule = kv.schedules.schedule(config.schedule, learning_rate=found["suggestion"], **options)
        history = kv.schedules.fit(
            network,
            batches,
            schedule.phases,
            epochs=schedule.epochs,
            optimizer=schedule.optimizer(),
            validation_data=kv.data.pipeline(validation),
            callbacks=[best, clock],
            verbose="auto" if records.is_chief else 0,
            checkpoints=resume,
        ).history
        best.restore()
        at_rate = f" at {found['suggestion']:.1e}" if found else ""
        return network, {
            "chosen": f"epoch {best.epoch + 1} of {schedule.epochs}, {config.schedule}{at_rate}",
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
    """Returns the logistic head that fine-tuning starts from. The validation part judges what comes after."""
    path = records.path("probe.npz")
    if records.done_or_wait("probe"):
        return kv.heads.load(path)
    of_pool = features.pool
    if of_pool is None:
        of_pool = np.concatenate(kv.features.embed_each(backbone, list(pool.images), cache=cache))
    head, chosen, accuracy, _ = kv.transfer.choose_head(
        "logistic", of_pool, pool.labels, fit=pool.train, tune=pool.validation
    )
    head.fit(of_pool[pool.train], pool.labels[pool.train])
    if path is not None:
        kv.heads.save(head, path)
    records.finish("probe", {"chosen": chosen, "validation_accuracy": accuracy})
    return head


def _find_rate(model, batches, schedule, records: runs.Records) -> dict:
    """Looks for the learning rate of the schedule's last phase; returns rates, losses and a suggestion."""
    if record := records.done("rate", rates=list, losses=list, suggestion=float):
        return record
    last = schedule.phases[-1]
    phase = {name: getattr(last, name) for name in ("above", "norm", "layer_decay", "layers")}
    found = kv.schedules.find_rate(model, batches, optimizer=schedule.optimizer(), **phase)
    record = {"rates": found.rates.tolist(), "losses": found.losses.tolist(), "suggestion": found.suggestion}
    print(f"learning rate found: {found.suggestion:.1e}", flush=True)
    records.finish("rate", record)
    return record


def _classifier(backbone, head, seed: int, *, zeros: bool = False, augment=None):
    """A head (a fitted one, or new for a count of classes) on a backbone of its own (the frozen heads' must not move),
    made in the open strategy's scope."""
    import keras

    keras.utils.set_random_seed(seed)  # whatever heads were fitted, or found finished, before
    model = kv.transfer.attach(keras.models.clone_model(backbone), head, augment=augment)
    model.get_layer("body").backbone.set_weights(backbone.get_weights())
    if zeros:
        layer = model.layers[-1]
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    return model


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
