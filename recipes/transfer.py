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
          --preset augmented 1.2 points more than with two_phase on an H200 (JAX, seeds 0 to 2), see README

k, metric, C, the epoch and the exported head are chosen on a split of the training images; the held-out images are
read once.
"""

import dataclasses
import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import kvision as kv
from kvision import atomic, checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

HEADS = ("knn", "forest", "logistic", "finetune")
_TUNE_FRACTION = 0.2
_DIGITS_SIZE, _SMALL_SIZE = 96, 64
_RECORD = {
    "chosen": str,
    "tune_accuracy": float,
    "tune_log_loss": float,
    "predicted": list,
    "confidence": list,
    "seconds": float,
}
_RULE = (
    "The exported model has the highest accuracy on the validation part of the training images. Ties: the lowest log "
    "loss there, then the fewest parameters."
)


@dataclasses.dataclass(frozen=True)
class Config(runs.Settings):
    backbone: str = runs.setting(
        "EfficientNetLite0", "name in kv.backbones.available()", check=limits.among(choices.BACKBONES)
    )
    weights: str = runs.setting(
        "imagenet", "imagenet, none, or a file saved from the same backbone", place=limits.weights
    )
    heads: tuple[str, ...] = runs.setting(HEADS, "what to train on it", check=limits.among(HEADS))
    image_size: int | None = runs.setting(
        None, "pixels; default: the backbone's own, 96 for the built-in digits", check=limits.positive
    )
    small: bool = runs.setting(False, "the smallest images the backbone takes, at least 64 pixels")
    preset: str = runs.setting(
        "two_phase",
        "schedule of fine-tuning: " + ", ".join(choices.SCHEDULES),
        check=limits.among(choices.SCHEDULES),
    )
    epochs: int | None = runs.setting(
        None, "of fine-tuning, the best one is kept; default: the preset's own", check=limits.positive
    )
    rate: float | None = runs.setting(
        None, "learning rate of the preset's last phase; default: the preset's own", check=limits.positive
    )
    find_rate: bool = runs.setting(False, "look for that rate before, and draw the search")
    augment: bool = runs.setting(True, "the random changes to images that the preset prescribes (flips)")
    batch_size: int = runs.setting(32, "images a step, on all devices together", check=limits.positive)
    precision: str = runs.setting(
        "float32",
        "of fine-tuning: float32, mixed_bfloat16, or on a GPU mixed_float16",
        check=limits.among(choices.PRECISIONS),
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


def load(config: Config, *, cache: Path | None = None) -> runs.Data:
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
        small=max(_SMALL_SIZE, kv.backbones.smallest_size(config.backbone)),
        cache=cache,
    )
    # a class must be on both sides of the split that k, C and the epoch are chosen on: better said now
    train = data.train
    kv.data.split(train.labels, train.digests, fraction=_TUNE_FRACTION, seed=config.seed, class_names=train.class_names)
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
    return kv.backbones.image_size(config.backbone) if config.data else max(_DIGITS_SIZE, smallest)


def run(
    train: "kv.data.Images",
    val: "kv.data.Images",
    config: Config,
    *,
    stages: runs.Stages | None = None,
    cache: Path | None = None,
) -> runs.Result:
    """Trains every head of `config.heads` on `train` and measures each on `val` once.

    The result is the head with the highest accuracy on a validation part of `train`. Among equals it is the one with
    the lowest log loss there, and then the one whose model has the fewest parameters.

    stages, cache: where finished heads and features are kept; None keeps nothing.
    """
    stages = stages or runs.Stages()
    weights = None if config.weights == "none" else config.weights
    backbone = kv.backbones.create(config.backbone, weights=weights, image_size=train.image_size, pooling="avg")
    fit, tune = kv.data.split(train.labels, train.digests, fraction=_TUNE_FRACTION, seed=config.seed)
    if stages.leads and (path := stages.path("manifest.csv")):
        kv.data.write_manifest(
            path,
            names=[*train.names, *val.names],
            labels=np.concatenate([train.labels, val.labels]),
            class_names=train.class_names,
            file_hashes=[*train.content, *val.content],
            parts={"train": fit, "tune": tune, "held out": len(train) + np.arange(len(val))},
        )
    records, models, history = {}, {}, {}
    features = held_out = None  # of other workers than the first
    if stages.leads and set(config.heads) - {"finetune"}:
        features, held_out = kv.backbones.embed_each(backbone, [train, val], cache=cache)
    for name in config.heads:
        print(f"{name} ...", flush=True)
        if name == "finetune":
            record, model = _fine_tune(backbone, train, val, fit, tune, features, config, stages, cache)
            history = record["history"]
        else:
            record, head = _fit_head(name, features, train.labels, held_out, fit, tune, stages)
            model = kv.transfer.attach(backbone, head)
        records[name], models[name] = record, model
    metrics = {name: _measure(record, val.labels) for name, record in records.items()}
    best = _best(records, {name: model.count_params() for name, model in models.items()})
    return runs.Result(
        model=models[best],
        history=history,
        metrics=metrics,
        best=best,
        task=kv.tasks.Classification(val.class_names),
        deciding={"validation": "tune_accuracy", "log loss": "tune_log_loss"},
        rule=_RULE,
        answers=runs.Answers(records[best]["predicted"], records[best]["confidence"]),
        pictures={
            "confusion.png": lambda axes: kv.plots.confusion_matrix(
                axes, val.labels, np.array(records[best]["predicted"]), val.class_names
            ),
            "accuracy.png": lambda axes: kv.plots.accuracy_bars(axes, metrics),
            **_rate_picture(records.get("finetune", {}).get("found")),
        },
    )


def _best(records: dict[str, dict], parameters: dict[str, int]) -> str:
    """The name that `_RULE` chooses."""

    def rank(name: str) -> tuple[float, float, int]:
        return -records[name]["tune_accuracy"], records[name]["tune_log_loss"], parameters[name]

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
        "tune_accuracy": record["tune_accuracy"],
        "tune_log_loss": record["tune_log_loss"],
        "lost": record.get("lost", []),  # files that vanished while the network trained
    }


def _fit_head(name, features, labels, held_out, fit, tune, stages: runs.Stages):
    """Chooses on (fit, tune), fits the choice on all of them -> record, head."""
    path = stages.path(f"{name}.npz")
    if record := stages.done(name, **_RECORD) if stages.leads else stages.wait(name, **_RECORD):
        return record, kv.heads.load(path)
    started = time.monotonic()
    head, chosen, accuracy, log_loss = kv.transfer.choose_head(name, features, labels, fit=fit, tune=tune)
    head.fit(features, labels)
    record = {
        "chosen": chosen,
        "tune_accuracy": accuracy,
        "tune_log_loss": log_loss,
        "predicted": head.predict(held_out).tolist(),
        "confidence": head.predict_proba(held_out).max(axis=1).tolist(),
        "seconds": round(time.monotonic() - started, 2),
    }
    if path is not None:
        kv.heads.save(head, path)
    stages.finish(name, record)
    return record, head


def _fine_tune(backbone, train, val, fit, tune, features, config: Config, stages: runs.Stages, cache: Path | None):
    """By the preset; keeps the epoch that is best on `tune` -> record, model."""
    from kvision.backbones import weights

    classes = len(train.class_names)
    options = {
        "epochs": config.epochs,
        "images": len(fit),
        "batch_size": train.batch_size,
        "stages": len(kv.backbones.stages(backbone)),
    }
    preset = kv.schedules.preset(config.preset, rate=config.rate, **options)
    head = _probe(backbone, train, fit, tune, features, stages, cache) if preset.head == "logistic" else classes
    model = _classifier(backbone, head, config.seed)
    path = stages.path("finetune.weights.h5")
    if record := stages.done("finetune", **_RECORD, history=dict):
        weights.load(model, path)
        return record, model
    clock = kv.training.Clock()
    best, found = kv.training.KeepBest("val_accuracy"), None
    with kv.distribute.pick_strategy(config.strategy).scope():
        augment = preset.augment(config.seed) if preset.augment and config.augment else None
        trained = _classifier(backbone, head, config.seed, zeros=preset.head == "zeros", augment=augment)
        kv.training.mixed(trained.get_layer("body"), config.precision)
        batches = kv.data.pipeline(train.subset(fit), seed=config.seed)
        if config.find_rate:
            found = _find_rate(trained, batches, preset, stages)
            preset = kv.schedules.preset(config.preset, rate=found["suggestion"], **options)
        resume = stages.resume()
        history = kv.schedules.fit(
            trained,
            batches,
            preset.steps,
            epochs=preset.epochs,
            optimizer=preset.optimizer(),
            validation_data=kv.data.pipeline(train.subset(tune)),
            callbacks=[best, clock],
            verbose="auto" if stages.leads else 0,
            checkpoints=resume,
        )
        best.restore()
        for ours, theirs in zip(model.weights, trained.weights, strict=True):
            ours.assign(kv.distribute.read(theirs))
    if not stages.leads:
        return stages.wait("finetune", **_RECORD, history=dict), model
    judged, answers = kv.backbones.embed_each(model, [train.subset(tune), val], progress=False)
    record = {
        "chosen": f"epoch {best.epoch + 1} of {preset.epochs}, {config.preset}"
        + (f" at {found['suggestion']:.1e}" if found else ""),
        "tune_accuracy": best.value,
        "tune_log_loss": kv.metrics.log_loss(judged, train.labels[tune]),
        "predicted": answers.argmax(axis=1).tolist(),
        "confidence": answers.max(axis=1).tolist(),
        "history": history,
        "found": found,
        "lost": [lost.path for lost in batches.lost],
        "seconds": round(clock.seconds, 2),
    }
    if path is not None:
        with atomic.file(path) as temporary:
            model.save_weights(temporary)
    stages.finish("finetune", record)
    if resume is not None:
        resume.checkpoints.clear()
    return record, model


def _probe(backbone, train, fit, tune, features, stages: runs.Stages, cache: Path | None):
    """The logistic head that fine-tuning starts from, fitted on `fit` alone: `tune` judges what comes after."""
    path = stages.path("probe.npz")
    if stages.done("probe") if stages.leads else stages.wait("probe"):
        return kv.heads.load(path)
    if features is None:
        features = kv.backbones.embed(backbone, train, cache=cache)
    head, chosen, accuracy, _ = kv.transfer.choose_head("logistic", features, train.labels, fit=fit, tune=tune)
    head.fit(features[fit], train.labels[fit])
    if path is not None:
        kv.heads.save(head, path)
    stages.finish("probe", {"chosen": chosen, "tune_accuracy": accuracy})
    return head


def _find_rate(model, batches, preset, stages: runs.Stages) -> dict:
    """The search for the rate of the preset's last phase -> rates, losses, suggestion."""
    if record := stages.done("rate", rates=list, losses=list, suggestion=float):
        return record
    last = preset.steps[-1]
    phase = {name: getattr(last, name) for name in ("above", "norm", "layer_decay", "layers")}
    found = kv.schedules.find_rate(model, batches, optimizer=preset.optimizer(), **phase)
    record = {"rates": found.rates.tolist(), "losses": found.losses.tolist(), "suggestion": found.suggestion}
    print(f"learning rate found: {found.suggestion:.1e}", flush=True)
    stages.finish("rate", record)
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
