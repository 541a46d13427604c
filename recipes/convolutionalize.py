"""From a classifier of small windows to a label for each pixel, in one pass instead of a sliding window.

Reproduces the first steps of Long et al. 2015 (arXiv 1411.4038, section 3.1): a network that classifies windows by the
class of the pixel in their middle is trained on windows cut out of images, rewritten as convolutions with the same
weights, compared with its own sliding window, and measured on whole images.

Run:      kvision convolutionalize                             handwritten digits on a ground, no download
          kvision convolutionalize --data FOLDER --classes classes.txt
          kvision convolutionalize --data camvid --classes camvid
Expect:   CamVid, 184 training images of 240 x 180: mIoU .428 [.423, .432] of 101 held-out images, boundary F1 .353; one
          pass equals 1,666 windows to 1e-5 and is 13 times as fast (seed 0, 2 minutes on 2 CPU cores)

No layer pads, so that both say the same; a network with a pyramid (`kvision segment`) sees more and is much better.
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

_STRIDE, _WINDOW = 4, 46  # pixels: of two poolings; the one window that three 3x3 convolutions leave an 8x8 map of
# pixels of black before and behind an image, so that cell (i, j) is the window around its pixels 4 i ... 4 i + 3, and
# every pixel has a cell
_BEFORE, _BEHIND = (_WINDOW - _STRIDE) // 2, (_WINDOW + _STRIDE) // 2 - 1
_WIDTHS, _HIDDEN = (16, 32, 64), 128
_ROUNDS = 3
_RECORD = {"history": dict, "ious": list, "mean_iou": float, "seconds": float, "equivalence": dict, "speed": dict}


@dataclasses.dataclass(frozen=True)
class Config(runs.masked.MaskSettings):
    windows: int = runs.setting(20000, "to train on, as many of each class as there are", check=limits.positive)
    epochs: int = runs.setting(12, "of training", check=limits.positive)
    learning_rate: float = runs.setting(1e-3, "peak of the learning rate", check=limits.positive)
    batch_size: int = runs.setting(64, "windows a step, on all devices together", check=limits.positive)


SMOKE = Config(windows=600, epochs=2, longest_side=96, train_images=16, test_images=4)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Reads and checks images and masks. cache: a folder for what is made of built-in data, None: a temporary one."""
    data = runs.masked.load(config, cache=cache)
    side = min(kv.pixels.pillow.fitted(data.test.sizes[_largest(data.test)], config.longest_side))
    if side < _WINDOW:
        expected = f"a held-out image of at least {_WINDOW} x {_WINDOW} pixels, to compare the network on"
        raise checks.error("--data, --longest-side", expected=expected, received=f"at most {side}")
    return data


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains on windows, rewrites the network, compares it with the sliding window, and measures it once."""
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
    dense = _dense(classifier)  # It copies the trained weights.
    return runs.Result(
        model=runs.masked.exportable(dense),
        history=record["history"],
        metrics={"one pass": {name: value for name, value in record.items() if name != "history"}},
        best="one pass",
        columns=("network", "pixels right; boundary F1"),
        pictures=runs.masked.pictures(dense, test, record["ious"], record["history"]),
        probe=[test.example(0)[0]],
        task=kv.tasks.Segmentation(test.class_names, test.longest_side, test.label_map.colors),
    )


def _classifier(classes: int, seed: int):
    """(B, 46, 46, 3) in [0, 255] -> logits (B, classes) of the pixel in the middle."""
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
    """image of any size -> logits of each pixel: black margins, all windows in one pass, enlarged to the image."""
    import keras

    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.ZeroPadding2D(((_BEFORE, _BEHIND), (_BEFORE, _BEHIND)), name="margin")(image)
    x = kv.segmentation.convolutionalize(classifier)(x)
    x = kv.layers.ResizeLike(name="resize")(x, kv.layers.BedOfNails(_STRIDE, name="grid")(x))  # 4 pixels a cell
    return keras.Model(image, kv.layers.CropLike(name="crop")(x, image), name="convolutional")


def _windows(images: "kv.data.MaskedImages", count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, 46, 46, 3) uint8 around the middles of cells, with the labels of their middles (N,), as many of each
    class as there are, out of all images alike."""
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
                found.append(padded[top : top + _WINDOW, left : left + _WINDOW].copy())  # not a view of all of it
                labels.append(label)
    chosen = random.permutation(len(found))[:count]
    return np.stack([found[i] for i in chosen]), np.array(labels, "int32")[chosen]


def _fit(train, config: Config, is_chief: bool, resume):
    """Trains the classifier of windows; returns it with its history, in the open strategy's scope."""
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
    """Of those that the network sees, the one whose shorter side is longest."""
    return int(np.argmax([min(kv.pixels.pillow.fitted(size, images.longest_side)) for size in images.sizes]))


def _compared(classifier, image: np.ndarray) -> dict:
    """One pass beside the sliding window batched in one compiled call: what each says, and how fast."""
    convolutional = kv.segmentation.convolutionalize(classifier)
    report = kv.segmentation.equivalence_report(classifier, convolutional, image)
    times: dict[str, list[float]] = {"sliding window": [], "one pass": []}
    calls = {
        "sliding window": lambda: kv.segmentation.sliding_window(classifier, image, stride=_STRIDE),
        "one pass": lambda: convolutional.predict_on_batch(image[None].astype("float32")),
    }
    for _ in range(1 + _ROUNDS):  # the first round traces
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
