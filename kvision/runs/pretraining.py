"""What the recipes of self-supervised learning share: settings, data, a training, and what its encoder is worth."""

import dataclasses
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision import checks, choices
from kvision.runs import limits
from kvision.runs.labeled import labeled, unlabeled
from kvision.runs.records import Records
from kvision.runs.result import Result, Split
from kvision.runs.settings import Settings, setting
from kvision.runs.train import trained
from kvision.runs.wrong_images import Answers

if TYPE_CHECKING:
    import keras

    from kvision.data import Images
    from kvision.selfsup import Evaluation, Preset

__all__ = ["Pretraining", "encoder_of", "evaluate", "load", "pretrain", "run"]

_RECORD = {"history": dict, "epochs": int, "seconds": float}
_ONLINE = (2000, 1000)  # images whose neighbors are looked up, and that are looked up, ten times in a training
_TIMED_STEPS = 8


@dataclasses.dataclass(frozen=True)
class Pretraining(Settings):
    preset: str = setting(
        "small",
        "settings: small (images of 32 to 96 pixels), imagenet (the paper's) or smoke",
        check=limits.among(choices.SIZES),
    )
    encoder: str | None = setting(
        None, "name in kv.backbones.available(); default: the preset's own", check=limits.among(choices.BACKBONES)
    )
    width: int | None = setting(
        None,
        "of the preset's own ResNet (64: as published; default: 16, of smoke 8), or ViT (default: 128)",
        check=limits.positive,
    )
    image_size: int | None = setting(None, "pixels; default: 32, of the preset imagenet 224", check=limits.positive)
    epochs: int | None = setting(None, "default: the preset's own", check=limits.positive)
    minutes: float | None = setting(
        None, "instead of epochs: as many as fit, at least one, timed on a few steps", check=limits.positive
    )
    batch_size: int | None = setting(
        None, "images a step, on all devices together; the rate is scaled with it", check=limits.positive
    )
    learning_rate: float | None = setting(
        None, "peak of the learning rate; default: the preset's own", check=limits.positive
    )
    precision: str = setting(
        "float32", "float32, mixed_bfloat16, or on a GPU mixed_float16", check=limits.among(choices.PRECISIONS)
    )
    pattern: str | None = setting(
        None, "regular expression that finds the class in file names, as '(.+)_[0-9]+' does in cat_12.jpg"
    )
    train_per_class: int | None = setting(
        None, "use only so many training images of each class", check=limits.two_per_class
    )
    test_per_class: int | None = setting(None, "use only so many held-out images of each class", check=limits.positive)
    unlabeled: str | None = setting(
        None,
        "folder of images, of any layout, to train on instead of those of --data, which then judge alone (and "
        "train the supervised row of ssl-table)",
        place=limits.folder,
    )

    def check_together(self) -> None:
        """Checks the width, the size of images and the length of the training against the other settings."""
        if self.width is not None and (self.encoder is not None or self.preset == "imagenet"):
            expected = "no --encoder beside it, and another --preset than imagenet: encoders by name have their widths"
            raise checks.error("--width", expected=expected, received=self.width)
        if self.width is not None and (self.width < 8 or self.width % 4):  # a ViT's heads and positions
            raise checks.error("--width", expected="a multiple of 4, at least 8", received=self.width)
        if self.epochs is not None and self.minutes is not None:
            raise checks.error("--minutes", expected="no --epochs beside it", received=f"{self.epochs} epochs")
        if self.encoder and self.image_size and self.image_size < (smallest := choices.BACKBONES[self.encoder]):
            expected = f"at least {smallest} (pixels) for {self.encoder}"
            raise checks.error("--image-size", expected=expected, received=self.image_size)


def load(config: Pretraining, *, cache: Path | None = None) -> Split:
    """Checks the settings, reads and splits the data. cache: a folder for what was scanned, None keeps nothing."""
    config.check()
    data = labeled(
        config.data,
        image_size=_size(config),
        batch_size=256,  # of the passes that embed
        seed=config.seed,
        train_per_class=config.train_per_class,
        test_per_class=config.test_per_class,
        pattern=config.pattern,
        cache=cache,
    )
    counts = np.bincount(data.train.labels, minlength=len(data.class_names))
    if len(counts) < 2 or counts.min() < 2:  # better said now than after the training
        raise checks.error(
            "--data",
            problem="cannot judge an encoder",
            expected="two classes or more with two training images each; labels are used for judging alone",
            received=dict(zip(data.class_names, counts.tolist(), strict=True)),
        )
    if len(data.test) < 2:
        raise checks.error(
            "--data",
            problem="cannot judge an encoder",
            expected="two held-out images or more",
            received=len(data.test),
        )
    if config.unlabeled is None:
        return data
    images, bad, notes = unlabeled(
        config.unlabeled, image_size=_size(config), batch_size=256, held_out=data.test, cache=cache
    )
    return dataclasses.replace(
        data,
        unlabeled=images,
        bad_images=(*data.bad_images, *bad),
        name=f"{data.name}; {len(images)} without labels",
        fingerprint=hashlib.sha256((data.fingerprint + images.fingerprint).encode()).hexdigest(),
        notes=(*data.notes, *notes),
    )


def _size(config: Pretraining) -> int:
    from kvision import selfsup

    return config.image_size or selfsup.preset("simclr", config.preset).image_size


def run(
    method: str | Callable[[Any], str],
    split: Split,
    config: Pretraining,
    *,
    records: Records | None = None,
    cache: Path | None = None,
) -> Result:
    """Trains a method of `kv.selfsup.METHODS` without labels, and judges its encoder.

    A linear classifier and nearest neighbors, trained with the labels of `split.train`, judge it on the test images.
    The encoder before its training is judged beside it.

    Args:
        method: The method's name, or a function that returns it for `config`.
        split: What `load` returned. The method learns from `split.unlabeled`, or else from `split.train`.
        config: The settings.
        records: Where the finished training is recorded. If None, nothing is kept.
        cache: A folder for features. If None, nothing is kept.
    """
    import keras

    from kvision import plots, tasks, transfer
    from kvision.features import embed

    name = method if isinstance(method, str) else method(config)
    records, train, test = records or Records(), split.train, split.test
    task = tasks.Classification(split.class_names)
    images = train if split.unlabeled is None else split.unlabeled
    encoder, record = pretrain(name, images, config, records, watch=(train, test))
    if not records.is_chief:
        return Result(encoder, record["history"], metrics={}, best=name, task=task)
    encoders = {"untrained": encoder_of(name, config), name: encoder}
    rows = {row: evaluate(model, train, test, config, cache=cache) for row, model in encoders.items()}
    metrics = {row: _metrics(found, record["seconds"] if row == name else 0.0) for row, found in rows.items()}
    features = embed(encoder, test, cache=cache, progress=False)
    answers = keras.ops.convert_to_numpy(rows[name].probe.to_layer()(features))

    def embedding(axes):
        return plots.embedding_map(axes, features, test.labels, test.class_names, seed=config.seed)

    return Result(
        model=transfer.attach(encoder, rows[name].probe),
        answers=Answers(answers.argmax(axis=1), answers.max(axis=1)),
        history=record["history"],
        metrics=metrics,
        best=name,
        task=task,
        columns=("encoder", "neighbors (test accuracy); the linear classifier's rate"),
        pictures={
            "embedding.png": embedding,
            "loss.png": lambda axes: plots.training_curve(axes, record["history"]),
            "accuracy.png": lambda axes: plots.accuracy_bars(axes, metrics),
        },
    )


def evaluate(
    encoder: "keras.Model", train: "Images", val: "Images", config: Pretraining, *, cache: Path | None = None
) -> "Evaluation":
    """`kv.selfsup.evaluate` as a run's settings have it: a short probe where all is short."""
    from kvision import augment, selfsup

    epochs = {"epochs": 5} if config.preset == "smoke" else {}
    view = augment.simclr(_size(config), strength=0.5, blur=False)  # for all methods, whatever they were trained on
    return selfsup.evaluate(encoder, train, val, view=view, cache=cache, seed=config.seed, **epochs)


def _metrics(found: "Evaluation", seconds: float) -> dict:
    return {
        "accuracy": found.linear,
        "interval": list(found.linear_interval),
        "seconds": seconds,
        "chosen": f"{found.knn:.4f} by {min(200, found.train_count)}, {found.knn_near:.4f} by 20; {found.rate:g}",
        "knn": found.knn,
        "knn_interval": list(found.knn_interval),
        "knn_near": found.knn_near,
        "uniformity": found.uniformity,
        "spread": found.spread,
        "alignment": found.alignment,
    }


def pretrain(
    name: str,
    train: "Images",
    config: Pretraining,
    records: Records,
    *,
    watch: "tuple[Images, Images] | None" = None,
) -> tuple["keras.Model", dict]:
    """Returns the trained encoder, and the record of its training: history, epochs, seconds, images a second.

    Args:
        name: The method's name.
        train: The images to learn from.
        config: The settings.
        records: Where the finished training is recorded.
        watch: Labeled and test images for the log `knn`, ten times in the training. Nothing is chosen by it.
    """
    preset = _preset(name, config)
    if len(train) < preset.batch_size:
        expected = f"at most the {len(train)} training images"
        raise checks.error("--batch-size", expected=expected, received=preset.batch_size)
    encoder = encoder_of(name, config)
    record = trained(
        records,
        name,
        encoder,
        fit=lambda resume: _fit(name, preset, train, config, records, watch, resume),
        measure=lambda: {"parameters": encoder.count_params()},
        kinds=_RECORD,
        strategy=config.strategy,
    )
    return encoder, record


def _fit(name: str, preset: "Preset", train: "Images", config: Pretraining, records: Records, watch, resume):
    """Trains the method; returns its encoder with facts for the record, in the open strategy's scope."""
    from kvision import distribute, selfsup, training

    least = 2 * distribute.replica_count()
    if preset.batch_size < least:
        expected = f"at least {least}: on each device two images, whose spread shows a collapse"
        raise checks.error("--batch-size", expected=expected, received=preset.batch_size)
    epochs = _epochs(name, preset, train, config, records)
    method = _method(name, preset, train, config)
    clock = training.Clock()
    rate = training.PhaseRate(lambda p: preset.learning_rate * preset.curve.factor(p), epochs=epochs)
    callbacks: list = [rate, clock, selfsup.CollapseGuard()]
    if watch is not None:
        some = [_some(images, count, config.seed) for images, count in zip(watch, _ONLINE, strict=True)]
        callbacks.append(selfsup.OnlineKNN(method.encoder, *some, every=max(1, epochs // 10)))
    history = training.fit(
        method,
        _pipeline(preset, train, config),
        epochs=epochs,
        seed=config.seed,
        callbacks=callbacks,
        verbose="auto" if records.is_chief else 0,
        checkpoints=resume,
    ).history
    left_out = len(train) % preset.batch_size if method.drops_tail else 0
    return method.encoder, {
        "history": history,
        "epochs": epochs,
        "seconds": round(clock.seconds, 1),
        "images_per_second": round(epochs * (len(train) - left_out) / clock.seconds, 1),
    }


def _preset(name: str, config: Pretraining) -> "Preset":
    from kvision import selfsup

    preset = selfsup.preset(name, config.preset)
    if config.batch_size is not None:
        preset = preset.at_batch(config.batch_size)
    if config.learning_rate is not None:
        preset = dataclasses.replace(preset, learning_rate=config.learning_rate)
    return preset


def encoder_of(name: str, config: Pretraining) -> "keras.Model":
    """A method's encoder before its training, with the weights of the seed."""
    import keras

    from kvision import backbones

    keras.utils.set_random_seed(config.seed)
    if config.encoder is None:
        width = {} if config.width is None else {"width": config.width}
        return _preset(name, config).encoder(_size(config), **width)
    return backbones.create(config.encoder, image_size=_size(config), pooling="avg")


def _method(name: str, preset: "Preset", train: "Images", config: Pretraining) -> "keras.Model":
    """The method, compiled; made in the open strategy's scope."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        method = preset.method(
            encoder_of(name, config),
            preset.views(_size(config)),
            images=len(train),
            classes=len(train.class_names),
            steps=int(_steps(preset, train, drops_tail=True)),
            image_size=_size(config),
            seed=config.seed,
        )
        method.check_batch(preset.batch_size)
        method.compile(preset.optimizer())  # which Keras lets scale the loss of a float16 model
    except checks.UserError as problem:
        raise checks.error(
            "--encoder, --image-size, --batch-size",
            problem=f"do not suit {name}",
            expected="what the method can train",
            received=f"{config.encoder or 'its own encoder'}, {_size(config)} pixels, batches of {preset.batch_size}",
            hint=str(problem),
        ) from problem
    finally:
        keras.config.set_dtype_policy(before)
    return method


def _pipeline(preset: "Preset", train: "Images", config: Pretraining):
    from kvision import data

    return data.pipeline(train, seed=config.seed, fields=preset.fields, batch_size=preset.batch_size)


def _steps(preset: "Preset", train: "Images", *, drops_tail: bool) -> float:
    """Of an epoch; a smaller last batch counts by its share."""
    whole, rest = divmod(len(train), preset.batch_size)
    return whole if drops_tail else whole + rest / preset.batch_size


def _some(images: "Images", count: int, seed: int) -> "Images":
    return images.subset(np.sort(np.random.default_rng(seed).permutation(len(images))[:count]))


def _epochs(name: str, preset: "Preset", train: "Images", config: Pretraining, records: Records) -> int:
    """As many as asked for; with a budget as many as fit, found once and kept, so that a resumed run, and each machine,
    has as many."""
    import keras

    from kvision import training

    if config.minutes is None:
        return config.epochs or preset.epochs
    if record := records.done(f"budget-{name}", epochs=int):
        return record["epochs"]
    steps = min(_TIMED_STEPS, len(train) // preset.batch_size)
    times: list[float] = []
    epoch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: times.append(time.monotonic()))
    last = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: times.append(time.monotonic()))
    few = train.subset(np.arange(preset.batch_size * steps))
    method = _method(name, preset, train, config)
    # the first epoch traces
    training.fit(method, _pipeline(preset, few, config), epochs=2, callbacks=[epoch, last], verbose=0)
    if not records.is_chief:
        return records.wait(f"budget-{name}", epochs=int)["epochs"]
    step = (times[-1] - times[-2]) / steps
    epochs = max(1, int(60 * config.minutes / (step * _steps(preset, train, drops_tail=method.drops_tail))))
    print(f"{name}: {step:.3f} s a step, {epochs} epochs in {config.minutes:g} minutes", flush=True)
    records.finish(f"budget-{name}", {"epochs": epochs, "seconds_per_step": step})
    return epochs
