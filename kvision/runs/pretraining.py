"""Code that the self-supervised recipes share: settings, data, training, and evaluation of the encoder."""

import dataclasses
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision import checks, choices
from kvision.runs import labeled, limits
from kvision.runs.labeled import LabelSettings
from kvision.runs.records import Records
from kvision.runs.result import Result, Split
from kvision.runs.settings import precision_setting, setting
from kvision.runs.train import trained
from kvision.runs.wrong_images import Answers

if TYPE_CHECKING:
    import keras

    from kvision.data import Images
    from kvision.selfsup import Evaluation, Preset

__all__ = ["Pretraining", "encoder_of", "evaluate", "load", "pretrain", "run"]

_RECORD = {"history": dict, "epochs": int, "seconds": float}
_ONLINE = (2000, 1000)  # numbers of training and test images for the log `knn`
_TIMED_STEPS = 8
_EMBEDDED = 256  # images per batch when features are computed


@dataclasses.dataclass(frozen=True)
class Pretraining(LabelSettings):
    """The settings of every recipe of self-supervised learning."""

    preset: str = setting(
        "small",
        "settings: small (images of 32 to 96 pixels), imagenet (the paper's) or smoke",
        group="model",
        check=limits.among(choices.SIZES),
    )
    encoder: str | None = setting(
        None,
        "a name from kv.backbones.available() (default: the preset's)",
        group="model",
        check=limits.among(choices.BACKBONES),
    )
    width: int | None = setting(
        None,
        "channels of the preset's encoder (default: ResNet 16, ViT 128)",
        group="model",
        check=limits.positive,
    )
    image_size: int | None = setting(
        None, "in pixels (default: 32; 224 with the preset imagenet)", group="data", check=limits.positive
    )
    epochs: int | None = setting(None, "passes over the images (default: the preset's)", check=limits.positive)
    minutes: float | None = setting(
        None, "train for about N minutes, not for a number of epochs", check=limits.positive
    )
    batch_size: int | None = setting(
        None, "images per step, on all devices; scales the learning rate", check=limits.positive
    )
    learning_rate: float | None = setting(
        None, "peak of the learning rate (default: the preset's)", check=limits.positive
    )
    precision: str = precision_setting()
    unlabeled: str | None = setting(
        None,
        "learn from these images, and only evaluate on the labeled data",
        group="data",
        place=limits.folder,
        metavar="FOLDER",
    )

    def check_together(self) -> None:
        """Checks the width, the size of images and the length of the training against the other settings."""
        if self.width is not None and (self.encoder is not None or self.preset == "imagenet"):
            expected = "neither `encoder` nor the preset imagenet beside it: their networks have a fixed width"
            raise checks.UserError("width", expected=expected, received=self.width)
        if self.width is not None and (self.width < 8 or self.width % 4):  # needed for the heads and positions of a ViT
            raise checks.UserError("width", expected="a multiple of 4, at least 8", received=self.width)
        if self.epochs is not None and self.minutes is not None:
            raise checks.UserError("minutes", expected="no `epochs` beside it", received=f"{self.epochs} epochs")
        if self.encoder and self.image_size and self.image_size < (smallest := choices.BACKBONES[self.encoder]):
            expected = f"at least {smallest} (pixels) for {self.encoder}"
            raise checks.UserError("image_size", expected=expected, received=self.image_size)


def load(config: Pretraining, *, cache: Path | None = None) -> Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the results of reading. If None, nothing is cached.

    Returns:
        The data of the run.

    Raises:
        UserError: If there are too few labeled images to judge an encoder.
    """
    config.check()
    options = {"image_size": _size(config), "batch_size": _EMBEDDED, "cache": cache}
    data = labeled.load(config, **options)
    counts = np.bincount(data.train.labels, minlength=len(data.class_names))
    if len(counts) < 2 or counts.min() < 2 or len(data.test) < 2:
        raise checks.UserError(
            "data",
            problem="cannot judge an encoder",
            expected="two classes or more with two training images each, and two test images",
            received=f"{dict(zip(data.class_names, counts.tolist(), strict=True))}, {len(data.test)} test images",
        )
    if config.unlabeled is None:
        return data
    images, bad, notes = labeled.unlabeled(config.unlabeled, test=data.test, **options)
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
    """Trains a method of `kv.selfsup.METHODS` without labels, and evaluates its encoder.

    The evaluation fits a linear classifier and nearest neighbors on the training images with their labels, and
    measures them on the test images. The untrained encoder is evaluated too, for comparison.

    Args:
        method: The name of the method, or a function that takes `config` and returns the name.
        split: The result of `load`. The method learns from `split.unlabeled`, or from `split.train` if that is None.
        config: The settings.
        records: Where the finished training is recorded. If None, nothing is recorded.
        cache: A folder for features. If None, nothing is cached.

    Returns:
        The result. Its model is the encoder with the linear classifier.
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
        columns=("encoder", "neighbors (test accuracy); the linear classifier's learning rate"),
        pictures={
            "embedding.png": embedding,
            "loss.png": lambda axes: plots.training_curve(axes, record["history"]),
            "accuracy.png": lambda axes: plots.accuracy_bars(axes, metrics),
        },
    )


def evaluate(
    encoder: "keras.Model", train: "Images", test: "Images", config: Pretraining, *, cache: Path | None = None
) -> "Evaluation":
    """Calls `kv.selfsup.evaluate` with the settings of a run.

    Args:
        encoder: The encoder.
        train: The training images.
        test: The test images.
        config: The settings.
        cache: A folder for features. If None, nothing is cached.

    Returns:
        The evaluation.
    """
    from kvision import augment, selfsup

    epochs = {"epochs": 5} if config.preset == "smoke" else {}
    view = augment.simclr(_size(config), strength=0.5, blur=False)  # the same for all methods
    return selfsup.evaluate(encoder, train, test, view=view, cache=cache, seed=config.seed, **epochs)


def _metrics(found: "Evaluation", seconds: float) -> dict:
    neighbors = min(200, found.train_count)
    return {
        "accuracy": found.linear,
        "interval": list(found.linear_interval),
        "seconds": seconds,
        "chosen": f"{found.knn:.4f} by {neighbors}, {found.knn_near:.4f} by 20; {found.learning_rate:g}",
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
    """Trains a method, or loads the encoder of a finished training.

    Args:
        name: The method's name.
        train: The images to learn from.
        config: The settings.
        records: Where the finished training is recorded.
        watch: Training and test images with labels. The log `knn` is computed on these images ten times during the
            training. No choice depends on it.

    Returns:
        The trained encoder, and the record of its training: history, epochs, seconds, images per second.

    Raises:
        UserError: If the settings do not suit the method or the number of images.
    """
    preset = _preset(name, config)
    if len(train) < preset.batch_size:
        expected = f"at most the {len(train)} training images"
        raise checks.UserError("batch_size", expected=expected, received=preset.batch_size)
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
    """Trains the method in the strategy's scope. Returns its encoder, and facts for the record."""
    from kvision import data, distribute, selfsup, training

    least = 2 * distribute.replica_count()
    if preset.batch_size < least:
        expected = f"at least {least}: two images on each device, whose spread shows a collapse"
        raise checks.UserError("batch_size", expected=expected, received=preset.batch_size)
    epochs = _epochs(name, preset, train, config, records)
    method = _method(name, preset, train, config)
    clock = training.Clock()
    rate = training.PhaseRate(lambda p: preset.learning_rate * preset.curve.factor(p), epochs=epochs)
    callbacks: list = [rate, clock, selfsup.CollapseGuard()]
    if watch is not None:
        orders = [np.random.default_rng(config.seed).permutation(len(images)) for images in watch]
        some = [images.subset(np.sort(o[:n])) for images, o, n in zip(watch, orders, _ONLINE, strict=True)]
        callbacks.append(selfsup.OnlineKNN(method.encoder, *some, every=max(1, epochs // 10)))
    history = training.fit(
        method,
        data.batches(train, seed=config.seed, fields=preset.fields, batch_size=preset.batch_size),
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
    """Returns the untrained encoder of a method, with initial weights that depend on the seed."""
    import keras

    from kvision import backbones

    keras.utils.set_random_seed(config.seed)
    if config.encoder is None:
        width = {} if config.width is None else {"width": config.width}
        return _preset(name, config).encoder(_size(config), **width)
    return backbones.create(config.encoder, image_size=_size(config), pooling="avg")


def _method(name: str, preset: "Preset", train: "Images", config: Pretraining) -> "keras.Model":
    """Creates and compiles the method, in the strategy's scope."""
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
        method.compile(preset.optimizer())  # Keras scales the loss of a float16 model.
    except checks.UserError as problem:
        raise checks.UserError(
            "encoder, image_size, batch_size",
            problem=f"do not suit {name}",
            expected="what the method can train",
            received=f"{config.encoder or 'its own encoder'}, {_size(config)} pixels, batches of {preset.batch_size}",
            hint=str(problem),
        ) from problem
    finally:
        keras.config.set_dtype_policy(before)
    return method


def _steps(preset: "Preset", train: "Images", *, drops_tail: bool) -> float:
    """Returns the number of steps per epoch. A smaller last batch counts as a fraction of a step."""
    whole, rest = divmod(len(train), preset.batch_size)
    return whole if drops_tail else whole + rest / preset.batch_size


def _epochs(name: str, preset: "Preset", train: "Images", config: Pretraining, records: Records) -> int:
    """Returns the number of epochs: the setting `epochs`, or as many as fit into `minutes`.

    The number for `minutes` is computed once and recorded, so that resumed runs and all machines use the same number.
    """
    import keras

    from kvision import data, training

    if config.minutes is None:
        return config.epochs or preset.epochs
    if record := records.done(f"budget-{name}", epochs=int):
        return record["epochs"]
    steps = min(_TIMED_STEPS, len(train) // preset.batch_size)
    times: list[float] = []
    tick = lambda *_: times.append(time.monotonic())  # noqa: E731
    timer = keras.callbacks.LambdaCallback(on_epoch_begin=tick, on_epoch_end=tick)
    few = train.subset(np.arange(preset.batch_size * steps))
    method = _method(name, preset, train, config)
    # The first epoch traces the graph, so only the second epoch is timed.
    batches = data.batches(few, seed=config.seed, fields=preset.fields, batch_size=preset.batch_size)
    training.fit(method, batches, epochs=2, callbacks=[timer], verbose=0)
    if not records.is_chief:
        return records.wait(f"budget-{name}", epochs=int)["epochs"]
    step = (times[-1] - times[-2]) / steps
    epochs = max(1, int(60 * config.minutes / (step * _steps(preset, train, drops_tail=method.drops_tail))))
    print(f"{name}: {step:.3f} s a step, {epochs} epochs in {config.minutes:g} minutes", flush=True)
    records.finish(f"budget-{name}", {"epochs": epochs, "seconds_per_step": step})
    return epochs
