"""Turns a classifier of small windows into a network that labels every pixel.

Trains a classifier on windows that are cut out of images. Rewrites the classifier as convolutions
with the same weights. Then compares the new network with the classifier in a sliding window (Long
et al. 2015, arXiv 1411.4038, section 3.1). This command demonstrates the method. `kvision segment`
gives much better labels.

Run:      kvision convolutionalize                             scenes of digits, no download
          kvision convolutionalize --data FOLDER --classes classes.txt
          kvision convolutionalize --data camvid --classes camvid
Expect:   CamVid, 184 training images of 240 x 180, seed 0, 2 minutes on 2 CPU cores: mIoU of 101 test
          images .428 [.423, .432], boundary F1 .353; one pass equals 1,666 windows to 1e-5 and is 13
          times as fast
"""

import dataclasses
import functools
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import kvision as kv
from kvision import checks, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

# In pixels. The two poolings together have a stride of 4. A window of 46 x 46 pixels becomes a map of 8 x 8 cells
# after the three 3x3 convolutions and the poolings.
_STRIDE, _WINDOW = 4, 46
# Widths of the black margins before and behind an image, in pixels. With these margins, the window of cell (i, j) is
# centered on the pixels 4 i ... 4 i + 3, and every pixel belongs to a cell.
_BEFORE, _BEHIND = (_WINDOW - _STRIDE) // 2, (_WINDOW + _STRIDE) // 2 - 1
_WIDTHS, _HIDDEN = (16, 32, 64), 128
_ROUNDS = 3
_RECORD = {"history": dict, "ious": list, "mean_iou": float, "seconds": float, "equivalence": dict, "speed": dict}


@dataclasses.dataclass(frozen=True)
class Config(runs.masked.MaskSettings):
    """Settings of `kvision convolutionalize`."""

    windows: int = runs.setting(
        20000, "training windows, balanced by class where possible", group="data", check=limits.positive
    )
    epochs: int = runs.setting(12, "passes over the windows", check=limits.positive)
    learning_rate: float = runs.setting(1e-3, "peak of the learning rate", check=limits.positive)
    batch_size: int = runs.setting(64, "windows per step, on all devices together", check=limits.positive)


SMOKE = Config(windows=600, epochs=2, longest_side=96, train_images=16, test_images=4)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the built-in data. If None, a temporary folder is used.

    Returns:
        The data of the run.

    Raises:
        UserError: If no test image is large enough for a window.
    """
    config.check()
    data = runs.masked.load(config, cache=cache)
    side = min(kv.pixels.pillow.fitted(data.test.sizes[_largest(data.test)], config.longest_side))
    if side < _WINDOW:
        expected = f"a test image of at least {_WINDOW} x {_WINDOW} pixels, to compare the network on"
        raise checks.UserError("data, longest_side", expected=expected, received=f"at most {side}")
    return data


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains on windows, rewrites the network, compares it with the sliding window, and measures it once.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where the finished training is recorded. If None, nothing is recorded.
        cache: Not used.

    Returns:
        The result. Its model labels images of any size.
    """
    test = split.test
    classifier = _classifier(len(split.class_names), config.seed)
    records = records or runs.Records()
    record = runs.trained(
        records,
        "windows",
        classifier,
        fit=functools.partial(_fit, split.train, config, records.is_chief),
        measure=lambda: {
            **runs.masked.score(_dense(classifier), test, seed=config.seed),
            **_compared(classifier, test.example(_largest(test))[0]),
        },
        kinds=_RECORD,
        strategy=config.strategy,
    )
    dense = _dense(classifier)  # This network has a copy of the trained weights.
    return runs.masked.result(dense, {"one pass": record}, "one pass", test, column="network")


def _classifier(classes: int, seed: int):
    """Creates a model that turns windows `(batch, 46, 46, 3)` into logits `(batch, classes)` of their middle pixel."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    image = keras.Input((_WINDOW, _WINDOW, 3), name="image")
    x = kv.layers.Preprocess("tf")(image)
    for number, width in enumerate(_WIDTHS, 1):
        x = layers.Conv2D(width, 3, activation="relu", name=f"conv{number}")(x)
        if number < len(_WIDTHS):
            x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Dropout(0.5, seed=seed, name="drop")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(_HIDDEN, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="windows")


def _dense(classifier):
    """Creates a model that gives logits for each pixel of images of any size, with the classifier's weights."""
    import keras

    # The model adds black margins, classifies all windows in one pass, and enlarges the result to the image's size.

    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.ZeroPadding2D(((_BEFORE, _BEHIND), (_BEFORE, _BEHIND)), name="margin")(image)
    x = kv.segmentation.convolutionalize(classifier)(x)
    x = kv.layers.ResizeLike(name="resize")(x, kv.layers.BedOfNails(_STRIDE, name="grid")(x))  # 4 pixels per cell
    return keras.Model(image, kv.layers.CropLike(name="crop")(x, image), name="convolutional")


def _windows(images: "kv.data.MaskedImages", count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts windows out of all images, balanced by class. The label of a window is the label of its middle pixel."""
    random = np.random.default_rng(seed)
    classes, each = len(images.class_names), -(-count // len(images))
    found, labels = [], []
    for number in range(len(images)):
        image, mask = images.example(number)
        padded = np.pad(image, [(_BEFORE, _BEHIND)] * 2 + [(0, 0)])
        middles = mask[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE]
        places = [np.argwhere(middles == label) for label in range(classes)]
        there = [label for label in range(classes) if len(places[label])]
        for label in there:
            for row, column in random.permutation(places[label])[: -(-each // len(there))]:
                top, left = row * _STRIDE, column * _STRIDE
                found.append(
                    padded[top : top + _WINDOW, left : left + _WINDOW].copy()
                )  # A view would keep the whole image.
                labels.append(label)
    chosen = random.permutation(len(found))[:count]
    return np.stack([found[i] for i in chosen]), np.array(labels, "int32")[chosen]


def _fit(train, config: Config, is_chief: bool, resume):
    """Trains the classifier of windows in the strategy's scope. Returns the classifier and facts for the record."""
    import keras

    windows, labels = _windows(train, config.windows, config.seed)
    print(f"{len(labels)} windows of {_WINDOW} x {_WINDOW} pixels", flush=True)
    clock = kv.training.Clock()
    curve = kv.schedules.Cosine(warmup=0.05)
    model = _classifier(len(train.class_names), config.seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(config.learning_rate), loss, metrics=["accuracy"])
    rate = kv.training.PhaseRate(lambda p: config.learning_rate * curve.factor(p), epochs=config.epochs)
    history = kv.training.fit(
        model,
        (windows, labels),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        callbacks=[rate, clock],
        verbose="auto" if is_chief else 0,
        checkpoints=resume,
    ).history
    return model, {"seconds": round(clock.seconds, 1), "windows": len(labels), "history": history}


def _largest(images: "kv.data.MaskedImages") -> int:
    """Returns the index of the image with the longest short side, in the size that the network sees."""
    return int(np.argmax([min(kv.pixels.pillow.fitted(size, images.longest_side)) for size in images.sizes]))


def _compared(classifier, image: np.ndarray) -> dict:
    """Compares answers and speed of one pass and of the sliding window, which runs as one batch in a compiled call."""
    convolutional = kv.segmentation.convolutionalize(classifier)
    report = kv.segmentation.equivalence_report(classifier, convolutional, image)
    times: dict[str, list[float]] = {"sliding window": [], "one pass": []}
    calls = {
        "sliding window": lambda: kv.segmentation.sliding_window(classifier, image, stride=_STRIDE),
        "one pass": lambda: convolutional.predict_on_batch(image[None].astype("float32")),
    }
    for _ in range(1 + _ROUNDS):  # The first round traces the graphs and is not timed.
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    seconds = {name: statistics.median(values[1:]) for name, values in times.items()}
    ratio = seconds["sliding window"] / seconds["one pass"]
    print(
        f"One pass against {report.cells} windows of an image: largest difference {report.largest:.1e} of scores that "
        f"vary by {report.spread:.2g}, {'equal' if report.exact else 'NOT equal'}; {ratio:.1f} times as fast",
        flush=True,
    )
    return {"equivalence": dataclasses.asdict(report), "speed": {**seconds, "ratio": ratio}}


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
