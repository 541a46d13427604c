"""Code that the recipes for coloring share: data, measurement of a network, and pictures."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision.data.parts import TEST, TRAIN
from kvision.pixels import pillow
from kvision.runs import clips, limits
from kvision.runs.parts import fingerprint, large_enough, parted, without_copies
from kvision.runs.result import Split
from kvision.runs.settings import Settings, setting

if TYPE_CHECKING:
    import keras

    from kvision.colorization import Scores
    from kvision.data import Frames, Pictures

__all__ = ["ColorSettings", "baselines", "load", "pictures", "score"]

_SHOWN, _SHOWN_SIDE = 5, 320  # examples in a picture, and their longest side
_HINTS = 10  # points of a measurement with hints


@dataclasses.dataclass(frozen=True)
class ColorSettings(Settings):
    """The settings of every recipe that trains on pictures without labels."""

    tflite_kinds = ("float32",)

    data: str | None = setting(
        None,
        "pictures in any folders, or .npz (default: tiles of two photographs)",
        group="data",
        place=limits.pictures,
        metavar="PATH",
    )
    longest_side: int = setting(
        512, "reduce larger pictures to this longest side, in pixels", group="data", check=limits.positive
    )
    frames: int = setting(
        1, "for videos: frames that the network sees at once, an odd number", group="data", check=limits.positive
    )
    temporal_weight: float = setting(
        0.1, "with --frames: weight of changes of the color along the motion", check=limits.between(0, 1e6)
    )
    train_images: int | None = setting(None, "use only N training pictures", group="data", check=limits.positive)
    test_images: int | None = setting(None, "use only N test pictures", group="data", check=limits.positive)


def load(config: ColorSettings, *, weights: str | None = None, smallest: int = 1, cache: Path | None = None) -> Split:
    """Reads the pictures (`kv.data.Pictures`) of a run, and splits them into parts.

    Args:
        config: The recipe's settings, already checked.
        weights: The recipe's setting `weights`. If it is a file, the file's content is part of the fingerprint.
        smallest: Smallest side in pixels that the network accepts. Pictures with a smaller side are bad images.
        cache: A folder for the built-in pictures. If None, a temporary folder is used.

    Returns:
        The data of the run. `class_names` is empty.

    Raises:
        UserError: If there are too few pictures in color.
    """
    from kvision import data

    if config.frames > 1:
        return clips.load(config, weights=weights, smallest=smallest)
    path = Path(config.data or "")
    if path.suffix == ".npz":
        arrays = data.load_npz(path, argument="data")
        sides = {TRAIN: arrays.x_train, TEST: arrays.x_test}
        parts = {name: _sized(data.pictures_of(x, argument="data"), config, smallest) for name, x in sides.items()}
        name, everyone = path.name, tuple(parts.values())
        train, validation, test, copies = without_copies(parts)
    else:
        if config.data is None:
            place = Path(tempfile.mkdtemp()) if cache is None else cache
            path, name = data.photo_tiles(place / "photo-tiles"), "tiles of two photographs"
        else:
            name = path.resolve().name
        found = data.from_pictures(path, longest_side=config.longest_side, argument="data")
        found = _sized(found, config, smallest)
        everyone = (found,)
        labels = np.zeros(len(found), int)
        train, validation, test, copies = parted(found, found.part, labels, seed=config.seed)
    train = train if config.train_images is None else train.some(config.train_images, seed=config.seed)
    test = test if config.test_images is None else test.some(config.test_images, seed=config.seed)
    unused = [] if validation is None else [f"{len(validation)} validation pictures are not used"]
    return Split(
        train=train,
        test=test,
        validation=validation,
        class_names=(),
        bad_images=[bad for images in everyone for bad in images.bad],
        name=f"{name}: {len(train)} training, {len(test)} test pictures",
        fingerprint=fingerprint(train, test, weights),
        notes=(*(note for images in everyone for note in images.notes), *copies, *unused),
    )


def _sized(images: "Pictures", config: ColorSettings, smallest: int) -> "Pictures":
    return large_enough(dataclasses.replace(images, longest_side=config.longest_side), smallest)


def score(model: "keras.Model", test: "Pictures | Frames", *, seed: int) -> dict:
    """Measures a network on the test pictures.

    A network that takes hints is measured without hints and, as `chroma_psnr_hints`, with the true colors of ten random
    places. On frames, the flicker is measured too, see `kvision.runs.clips.flicker`.

    Args:
        model: A model of `kv.colorization.network`.
        test: The test pictures, or frames with their neighbors.
        seed: Seed of the bootstrap and of the places.

    Returns:
        The measurements for the report, ready for JSON.
    """
    from kvision import colorization
    from kvision.data import Frames

    started = time.monotonic()
    # The colors are measured before they are clipped, so that clipped pixels can be counted.
    colorizer = colorization.colorizer(model, clip=False)
    predict = _predict(colorizer, test, 0, seed)
    row = _row(colorization.evaluate(predict, test, seed=seed))
    if any(tensor.name == "hints" for tensor in model.inputs):
        guided = colorization.evaluate(_predict(colorizer, test, _HINTS, seed), test, seed=seed)
        row |= {"chroma_psnr_hints": guided.chroma_psnr, "interval_hints": list(guided.interval)}
        row["chosen"] += f"; with {_HINTS} hints {guided.chroma_psnr:.2f}"
    if isinstance(test, Frames) and (found := clips.flicker(predict, test)):
        row |= found
        row["chosen"] += f"; warp error {found['warp_error']:.2e}, color {found['warp_error_chroma']:.2e}"
    return {
        **row,
        "parameters": model.count_params(),
        "evaluation_seconds": round(time.monotonic() - started, 1),
    }


def _predict(model: "keras.Model", test, count: int, seed: int) -> Callable[[int, np.ndarray], np.ndarray]:
    """Returns a function that colors a picture of `test` with all inputs of the model.

    Hints are the true colors of `count` places.
    """
    from kvision import colorization, luma_chroma

    names = {tensor.name for tensor in model.inputs}

    def predict(number: int, image: np.ndarray) -> np.ndarray:
        given = {"image": image.astype("float32")}
        if "hints" in names:
            chroma = luma_chroma.luma_chroma(image)[..., 1:] / 127.5
            given["hints"] = colorization.random_hints(chroma, np.random.default_rng([seed, number]), count=count)
        if "neighbors" in names:
            given["neighbors"] = clips.neighbors_of(test, number)
        batch: Any = {name: rows[None] for name, rows in given.items()}
        return np.asarray(model.predict_on_batch(batch if len(names) > 1 else batch["image"]))[0]

    return predict


def baselines(train: "Pictures | Frames", test: "Pictures | Frames", *, seed: int) -> dict[str, dict]:
    """Measures the gray picture, and the mean chroma of the training pictures everywhere.

    Args:
        train: The training pictures.
        test: The test pictures.
        seed: Seed of the bootstrap.

    Returns:
        The measurements of `gray` and `constant`, as from `score`.
    """
    from kvision import colorization

    rows = {}
    for name, chroma in {"gray": np.zeros(2), "constant": colorization.mean_chroma(train)}.items():

        def predict(number: int, image: np.ndarray, chroma=chroma) -> np.ndarray:
            return colorization.constant(image, chroma)

        rows[name] = {**_row(colorization.evaluate(predict, test, seed=seed, progress=False)), "seconds": 0.0}
    return rows


def _row(found: "Scores") -> dict:
    row = dataclasses.asdict(found)
    text = f"{found.psnr:.2f}; {found.colorfulness:.1f}, off by {found.colorfulness_error:.1f}"
    return {**row, "interval": list(found.interval), "chosen": text}


def pictures(
    models: Mapping[str, "keras.Model"], test: "Pictures | Frames", history: Mapping[str, Sequence[float]]
) -> dict[str, Callable]:
    """Returns functions that draw examples (gray input, each network, reference) and the loss.

    Args:
        models: Models of `kv.colorization.network` by the names of their columns.
        test: The test pictures.
        history: The logs of the exported network.
    """
    from kvision import colorization, plots
    from kvision.sepia import gray

    def examples(axes):
        shown = np.linspace(0, len(test) - 1, min(_SHOWN, len(test))).astype(int)
        images = [test.example(i)[0] for i in shown]
        columns = {"input": [np.repeat(gray(image[None])[0], 3, axis=2) for image in images]}
        for name, network in models.items():
            predict = _predict(colorization.colorizer(network), test, 0, seed=0)
            columns[name] = [predict(i, image) for i, image in zip(shown, images, strict=True)]
        columns["reference"] = images
        small = {
            name: [pillow.fit(image.round().astype("uint8"), _SHOWN_SIDE) for image in column]
            for name, column in columns.items()
        }
        return plots.picture_table(axes, small)

    return {"examples.png": examples, "loss.png": lambda axes: plots.training_curve(axes, dict(history))}
