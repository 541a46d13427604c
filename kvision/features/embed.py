"""Runs a frozen network over images once, and caches the features."""

import hashlib
import itertools
import json
import math
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from kvision import atomic, checks, npz
from kvision.features import engines
from kvision.features.fastest import fastest
from kvision.progress import Bar
from kvision.raw_pixels import RawPixels
from kvision.training.match import check_shape
from kvision.training.single import single

__all__ = ["embed", "embed_each"]


def embed(
    model: keras.Model,
    images: np.ndarray | Iterable,
    *,
    batch_size: int = 32,
    engine: str = "auto",
    cache: str | Path | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Computes features of images: runs a frozen network over them once, in inference mode.

    `engine="auto"` chooses the fastest engine for this network on this machine. It times Keras, LiteRT and, if
    installed, OpenVINO on the first batch. If Keras needs less than half a minute or can use a GPU, Keras runs without
    timing. The features of all engines agree to 1e-4 of the largest feature.

    Args:
        model: A model from images `(batch, height, width, channels)` in [0, 255] to features `(batch, features)`.
        images: An array `(n, height, width, channels)`, uint8 or float in [0, 255]. Or an iterable of batches, such as
            `kv.data.from_folder(...)` or a `tf.data.Dataset`. A batch is such an array, or a tuple that begins with
            such an array.
        batch_size: Number of images in a batch, if `images` is an array. An iterable already yields batches.
        engine: `"auto"`, `"keras"`, `"litert"` or `"openvino"` (the extra `openvino`). The last two need TensorFlow.
        cache: A folder for features. If the weights, the graph, the images or the engine change, a new file is written.
            `"auto"` also uses cached features of any engine in the folder. If None, nothing is cached.
        progress: Shows a progress bar and the chosen engine on standard error.

    Returns:
        Features `(n, features)`, float32, in the order of the images.

    Raises:
        UserError: If the model has no vector output, if the images have a wrong size or range, if there are no images,
            if the engine cannot run here, or if `cache` is given for an iterable without a `fingerprint`.

    Example:
        >>> layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(16, 3), keras.layers.GlobalAveragePooling2D()]
        >>> backbone = keras.Sequential(layers)  # or kv.backbones.create(name, pooling="avg")
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype="uint8")
        >>> kv.features.embed(backbone, images, progress=False).shape
        (4, 16)
    """
    options = {"batch_size": batch_size, "engine": engine, "cache": cache, "progress": progress}
    return _embed(model, {"images": images}, **options)[0]


def embed_each(
    model: keras.Model,
    sets: Sequence[np.ndarray | Iterable],
    *,
    batch_size: int = 32,
    engine: str = "auto",
    cache: str | Path | None = None,
    progress: bool = True,
) -> list[np.ndarray]:
    """Computes features of several sets of images with one engine. The engine is started once.

    Args:
        model: As for `embed`.
        sets: The sets of images. Each set has a form that `embed` takes.
        batch_size: As for `embed`.
        engine: As for `embed`.
        cache: As for `embed`.
        progress: As for `embed`.

    Returns:
        The features of each set.

    Raises:
        UserError: As for `embed`.

    Example:
        >>> backbone = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.GlobalAveragePooling2D()])
        >>> images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype="uint8")
        >>> train, test = kv.features.embed_each(backbone, [images[:4], images[4:]], progress=False)
        >>> train.shape, test.shape
        ((4, 3), (2, 3))
    """
    options = {"batch_size": batch_size, "engine": engine, "cache": cache, "progress": progress}
    return _embed(model, {f"sets[{i}]": images for i, images in enumerate(sets)}, **options)


def _embed(
    model: keras.Model, named: Mapping[str, Any], *, batch_size: int, engine: str, cache, progress: bool
) -> list[np.ndarray]:
    """Computes the features of each set of images. Errors show the argument name of the set."""
    model = single(model, argument="model")
    if len(model.output_shape) != 2:
        raise checks.UserError(
            "model",
            expected="a model with an output (batch, features)",
            received=model.output_shape,
            hint='Create the backbone with pooling="avg"',
        )
    sets = [_Set(argument, images, model.input_shape, batch_size) for argument, images in named.items()]
    started = _Started(model, engines.check(engine))
    paths = None
    if cache is not None:
        fingerprints = [_fingerprint(model, each.images) for each in sets]
        if engine == "auto":
            started.engine = _cached_engine(Path(cache), fingerprints, [each.count for each in sets])
    if started.engine == "auto":
        first = sets[0].peek()
        started.choose(first, sum(each.batch_count(len(first)) for each in sets), progress)
    if cache is not None:
        paths = [_entry(Path(cache), fingerprint, started.engine) for fingerprint in fingerprints]
    found = []
    for i, each in enumerate(sets):
        features = None if paths is None else _read(paths[i], each.count, model.output_shape[1])
        if features is None:
            features = _run(each, started, progress)
            if paths is not None:
                with atomic.file(paths[i]) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, features=features)
        found.append(features)
    return found


class _Set:
    """The images of one argument. They are read once, in batches."""

    def __init__(self, argument: str, images: Any, shape: Sequence[int | None], batch_size: int):
        if isinstance(images, str | Path):
            raise checks.UserError(
                argument,
                expected="an array or a batched iterable",
                received=str(images),
                hint="Read a folder by kv.data.from_folder(PATH, image_size=...)",
            )
        self.argument = argument
        self.images = np.asarray(images) if hasattr(images, "__array__") else images
        known = isinstance(self.images, np.ndarray) or hasattr(images, "fingerprint")
        self.count = len(self.images) if known else None
        self.batches = self._batches(shape, batch_size)

    def _batches(self, shape: Sequence[int | None], batch_size: int) -> Iterator[np.ndarray]:
        look, whole, batches = RawPixels(self.argument), isinstance(self.images, np.ndarray), self.images
        if whole:  # A bad image in an array is found before the first batch runs.
            look(self.images)
            check_shape(self.argument, self.images.shape, shape)
            batches = (self.images[i : i + batch_size] for i in range(0, len(self.images), batch_size))
        for batch in batches:
            batch = np.asarray(batch[0] if isinstance(batch, tuple | list) else batch)
            check_shape(self.argument, batch.shape, shape)
            if not whole:
                look(batch)
            yield batch

    def peek(self) -> np.ndarray:
        """Returns the first batch. `batches` still begins with this batch."""
        first = next(self.batches, None)
        if first is None or len(first) == 0:
            raise checks.UserError(
                self.argument, problem="are empty", expected="at least one image", received=self.images
            )
        self.batches = itertools.chain([first], self.batches)
        return first

    def batch_count(self, batch_size: int) -> float:
        """Returns the number of batches, or infinity if it is unknown."""
        if self.count is not None:
            return math.ceil(self.count / batch_size)
        known = operator.length_hint(self.images, -1)
        return known if known >= 0 else math.inf


class _Started:
    """One engine for all sets, because their features are compared. A larger batch starts the engine again."""

    def __init__(self, model: keras.Model, engine: str):
        self.model, self.engine, self.batch_size = model, engine, 0

    def choose(self, batch: np.ndarray, batches: float, progress: bool) -> None:
        """Replaces "auto" by the fastest engine for the given number of batches like `batch`."""
        chosen = fastest(self.model, batch, batches)
        self.engine, self.run, self.batch_size = chosen.engine, chosen.run, len(batch)
        if progress and chosen.speeds:
            tqdm.write(str(chosen), file=sys.stderr)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        if len(batch) > self.batch_size:
            self.batch_size = len(batch)
            self.run = engines.start(self.model, self.engine, batch_size=self.batch_size)
        return self.run(batch)


def _run(images: _Set, run: _Started, progress: bool) -> np.ndarray:
    images.peek()
    features = []
    with Bar(total=images.count, desc=f"features ({run.engine})", unit=" images", disable=not progress) as bar:
        for batch in images.batches:
            features.append(run(batch))
            bar.update(len(batch))
    return np.concatenate(features)


def _entry(folder: Path, fingerprint, engine: str) -> Path:
    """Returns the cache file for the features of an engine, from the result of `_fingerprint`."""
    named = fingerprint.copy()
    named.update(engine.encode())
    return folder / f"{named.hexdigest()}.npz"


def _cached_engine(folder: Path, fingerprints: Sequence, counts: Sequence[int]) -> str:
    """Returns the engine that has at least half of all features in the cache, or "auto" if there is no such engine."""

    def cached(engine: str) -> int:
        there = (_entry(folder, fingerprint, engine).exists() for fingerprint in fingerprints)
        return sum(itertools.compress(counts, there))

    best = max(engines.ENGINES[1:], key=cached)
    whole = cached(best) == sum(counts)
    return best if whole or (2 * cached(best) >= sum(counts) and best in engines.candidates()) else "auto"


def _fingerprint(model: keras.Model, images):
    """Returns a SHA-256 object that has read the graph, the weights and the images."""
    of_images = getattr(images, "fingerprint", None)
    if isinstance(images, np.ndarray):
        head = f"{images.shape}{images.dtype}".encode()
        of_images = hashlib.sha256(head + np.ascontiguousarray(images).data).hexdigest()
    if not of_images:
        raise checks.UserError(
            "cache",
            problem="needs to identify the images",
            expected="an array or an iterable with a `fingerprint`, such as kv.data returns",
            received=type(images).__name__,
        )
    graph = json.dumps(model.get_config(), sort_keys=True, default=str)
    # Keras numbers automatic names within a process. These numbers must not change the fingerprint.
    for i, layer in enumerate(model.layers):
        graph = graph.replace(f'"{layer.name}"', f'"#{i}"')
    found = hashlib.sha256(f"{graph} {of_images}".encode())
    for weight in model.weights:
        found.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).data)
    return found


def _read(path: Path, count: int | None, width: int) -> np.ndarray | None:
    if not path.exists():
        return None
    try:
        features = npz.read(path, stored=True)["features"]
        expected = (len(features) if features.ndim and count is None else count, width)
        if features.shape != expected or features.dtype != np.float32:
            raise npz.BadArrays(f"they are {features.dtype} {features.shape}, not float32 {expected}")
        return features
    except (npz.BadArrays, KeyError) as reason:
        tqdm.write(f"The cached features {path.name} are damaged ({reason}): recomputing them.")
        return None
