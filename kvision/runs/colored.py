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
from kvision.runs import limits
from kvision.runs.parts import fingerprint, large_enough, parted, without_copies
from kvision.runs.result import Split
from kvision.runs.settings import Settings, setting

if TYPE_CHECKING:
    import keras

    from kvision.colorization import Scores
    from kvision.data import Pictures

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


def score(model: "keras.Model", test: "Pictures", *, hints: bool, seed: int) -> dict:
    """Measures a network on the test pictures.

    Args:
        model: A model of `kv.colorization.network`.
        test: The test pictures.
        hints: Whether the network takes hints. Then it is measured without hints and, as `chroma_psnr_hints`, with the
            true colors of ten random places.
        seed: Seed of the bootstrap and of the places.

    Returns:
        The measurements for the report, ready for JSON.
    """
    from kvision import colorization

    started = time.monotonic()
    # The colors are measured before they are clipped, so that clipped pixels can be counted.
    colorizer = colorization.colorizer(model, clip=False)
    row = _row(colorization.evaluate(_predict(colorizer, 0 if hints else None, seed), test, seed=seed))
    if hints:
        guided = colorization.evaluate(_predict(colorizer, _HINTS, seed), test, seed=seed)
        row |= {"chroma_psnr_hints": guided.chroma_psnr, "interval_hints": list(guided.interval)}
        row["chosen"] += f"; with {_HINTS} hints {guided.chroma_psnr:.2f}"
    return {
        **row,
        "parameters": model.count_params(),
        "evaluation_seconds": round(time.monotonic() - started, 1),
    }


def _predict(model: "keras.Model", count: int | None, seed: int) -> Callable[[int, np.ndarray], np.ndarray]:
    """Returns a function that colors a picture, with the true colors of `count` places as hints."""
    from kvision import colorization, luma_chroma

    def predict(number: int, image: np.ndarray) -> np.ndarray:
        pixels: Any = image[None].astype("float32")
        if count is not None:
            chroma = luma_chroma.luma_chroma(image)[..., 1:] / 127.5
            drawn = colorization.random_hints(chroma, np.random.default_rng([seed, number]), count=count)
            pixels = {"image": pixels, "hints": drawn[None]}
        return np.asarray(model.predict_on_batch(pixels))[0]

    return predict


def baselines(train: "Pictures", test: "Pictures", *, seed: int) -> dict[str, dict]:
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
    models: Mapping[str, "keras.Model"], test: "Pictures", history: Mapping[str, Sequence[float]]
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
        images = [pillow.fit(test.example(i)[0], _SHOWN_SIDE) for i in shown]
        inputs = [np.repeat(gray(image[None])[0], 3, axis=2).round().astype("uint8") for image in images]
        columns = {"input": inputs}
        for name, network in models.items():
            model = colorization.colorizer(network)
            columns[name] = [colorization.colorize(model, image) for image in inputs]
        return plots.picture_table(axes, {**columns, "reference": images})

    return {"examples.png": examples, "loss.png": lambda axes: plots.training_curve(axes, dict(history))}
