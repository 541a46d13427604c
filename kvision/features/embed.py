"""Images -> features, one pass, cached by content."""

import hashlib
import itertools
import json
import math
import operator
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

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

__all__ = ["cache_key", "embed", "embed_each"]


def embed(
    model: keras.Model,
    images: np.ndarray | Iterable,
    *,
    batch_size: int = 32,
    engine: str = "auto",
    cache: str | Path | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Runs a frozen network over images once, in inference mode.

    With `engine="auto"`, the engine that is fastest for this network on this machine is taken: Keras, LiteRT, and
    OpenVINO if it is installed are timed on the first batch. Where Keras would be done in half a minute, or can use a
    GPU, it runs without timing. All engines give the same features to 1e-4 of the largest one.

    Args:
        model: A model from images `(batch, height, width, 3)` in [0, 255] to features `(batch, features)`.
        images: An array `(n, height, width, 3)`, uint8 or float in [0, 255]. Or a batched iterable of such arrays, or
            of tuples that begin with one, as `kv.data.from_folder(...)` and a `tf.data.Dataset` are.
        batch_size: Images in a batch, if `images` is an array. An iterable brings its own batches.
        engine: "auto", "keras", "litert" or "openvino" (the extra `openvino`). The last two need TensorFlow.
        cache: A folder in which features are kept. A change of weights, graph, engine or images makes another entry.
            With "auto", features of any engine are used if they are there. If None, nothing is cached.
        progress: Shows a progress bar, and the engine that was chosen, on standard error.

    Returns:
        Features `(n, features)` float32, in the order of the images.

    Raises:
        kvision.UserError: If the model has no vector output, the images have another size or range, there are none,
            the engine cannot run here, or `cache` is given for an iterable without a `fingerprint`.
    """
    options = {"batch_size": batch_size, "engine": engine, "cache": cache, "progress": progress}
    return embed_each(model, [images], **options)[0]


def embed_each(
    model: keras.Model,
    sets: Sequence[np.ndarray | Iterable],
    *,
    batch_size: int = 32,
    engine: str = "auto",
    cache: str | Path | None = None,
    progress: bool = True,
) -> list[np.ndarray]:
    """Features of several sets of images, as `embed` of each would be, by one engine, which is started once."""
    model = single(model, argument="model")
    sets = [np.asarray(images) if hasattr(images, "__array__") else images for images in sets]
    if len(model.output_shape) != 2:
        raise checks.error(
            "model",
            expected="a model with a vector a image (B, D)",
            received=model.output_shape,
            hint='Create the backbone with pooling="avg"',
        )
    for images in sets:
        if isinstance(images, str | Path):
            raise checks.error(
                "images",
                expected="an array or a batched iterable",
                received=str(images),
                hint="Use kv.data.from_folder(PATH)",
            )
    counts = [len(s) if isinstance(s, np.ndarray) or hasattr(s, "fingerprint") else None for s in sets]
    folder, digests = (None, []) if cache is None else (Path(cache), [_digest(model, images) for images in sets])
    streams = [_batches(model, images, batch_size) for images in sets]
    started = _Started(model, engines.check(engine))
    if folder is not None and engine == "auto":
        started.engine = _cached_engine(folder, digests, counts)
    if started.engine == "auto":
        first, streams[0] = _peek(streams[0], sets[0])
        batches = sum(_batch_count(images, count, len(first)) for images, count in zip(sets, counts, strict=True))
        started.choose(first, batches, progress)
    found = []
    for i, (images, count) in enumerate(zip(sets, counts, strict=True)):
        path = None if folder is None else _entry(folder, digests[i], started.engine)
        features = None if path is None else _read(path, count, model.output_shape[1])
        if features is None:
            features = _run(images, streams[i], started, count, progress)
            if path is not None:
                with atomic.file(path) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, features=features)
        found.append(features)
    return found


class _Started:
    """One engine for all sets, since their features are compared. Started by the first batch, and by a larger one."""

    def __init__(self, model: keras.Model, engine: str):
        self.model, self.engine, self.batch_size = model, engine, 0
        self.known: tuple = (None, None)

    def choose(self, batch: np.ndarray, batches: float, progress: bool) -> None:
        """Resolves "auto" for so many batches, of which this is the first."""
        choice = fastest(self.model, batch, batches)
        self.engine, self.run, self.batch_size = choice.engine, choice.run, len(batch)
        self.known = (batch, choice.features)
        if progress and choice.rates:
            tqdm.write(str(choice), file=sys.stderr)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        (known, features), self.known = self.known, (None, None)
        if batch is known and features is not None:
            return features
        if len(batch) > self.batch_size:
            self.batch_size = len(batch)
            self.run = engines.start(self.model, self.engine, batch_size=self.batch_size)
        return self.run(batch)


def _run(images, batches: Iterator[np.ndarray], run: _Started, count: int | None, progress: bool) -> np.ndarray:
    _, batches = _peek(batches, images)
    features = []
    with Bar(total=count, desc=f"features ({run.engine})", unit=" images", disable=not progress) as bar:
        for batch in batches:
            features.append(run(batch))
            bar.update(len(batch))
    return np.concatenate(features)


def _peek(batches: Iterator[np.ndarray], images) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """Returns the first batch, and all of them again."""
    first = next(batches, None)
    if first is None or len(first) == 0:
        raise checks.error("images", expected="at least one image", received=images, problem="are empty")
    return first, itertools.chain([first], batches)


def _batch_count(images, count: int | None, batch_size: int) -> float:
    """Number of batches, infinite if nobody knows."""
    if count is not None:
        return math.ceil(count / batch_size)
    known = operator.length_hint(images, -1)
    return known if known >= 0 else math.inf


def _batches(model: keras.Model, images, batch_size: int) -> Iterator[np.ndarray]:
    look: RawPixels | None = RawPixels()
    if isinstance(images, np.ndarray):
        look(images)
        check_shape("images", images.shape, model.input_shape)  # not that of a part
        batches, look = (images[i : i + batch_size] for i in range(0, len(images), batch_size)), None
    else:
        batches = iter(images)
    for batch in batches:
        batch = np.asarray(batch[0] if isinstance(batch, tuple | list) else batch)
        check_shape("images", batch.shape, model.input_shape)
        if look is not None:
            look(batch)
        yield batch


def cache_key(model: keras.Model, images, engine: str) -> str:
    """SHA-256 of everything that the features depend on: graph, weights, images and engine."""
    return _entry(Path(), _digest(model, images), engine).stem


def _entry(folder: Path, digest, engine: str) -> Path:
    """The file of features that an engine made. digest: of `_digest`."""
    named = digest.copy()
    named.update(engine.encode())
    return folder / f"{named.hexdigest()}.npz"


def _cached_engine(folder: Path, digests: Sequence, counts: Sequence[int]) -> str:
    """The engine that has cached at least half of the features, so that the others are made alike. Else "auto"."""

    def cached(engine: str) -> int:
        there = (_entry(folder, digest, engine).exists() for digest in digests)
        return sum(itertools.compress(counts, there))

    best = max(engines.ENGINES[1:], key=cached)
    whole = cached(best) == sum(counts)
    return best if whole or (2 * cached(best) >= sum(counts) and best in engines.candidates()) else "auto"


def _digest(model: keras.Model, images):
    """The SHA-256 object of graph, weights and images."""
    fingerprint = getattr(images, "fingerprint", None)
    if isinstance(images, np.ndarray):
        head = f"{images.shape}{images.dtype}".encode()
        fingerprint = hashlib.sha256(head + np.ascontiguousarray(images).data).hexdigest()
    if not fingerprint:
        raise checks.error(
            "cache",
            problem="needs to know the images' content",
            expected="an array or an iterable with a `fingerprint`, as kv.data makes them",
            received=type(images).__name__,
        )
    graph = json.dumps(model.get_config(), sort_keys=True, default=str)
    for i, layer in enumerate(model.layers):  # automatic names count up within a process: they are not content
        graph = graph.replace(f'"{layer.name}"', f'"#{i}"')
    digest = hashlib.sha256(f"{graph} {fingerprint}".encode())
    for weight in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).data)
    return digest


def _read(path: Path, count: int | None, width: int) -> np.ndarray | None:
    if not path.exists():
        return None
    try:
        features = npz.read(path, stored=True)["features"]  # a zip: its checksum covers the features
        expected = (len(features) if features.ndim and count is None else count, width)
        if features.shape != expected or features.dtype != np.float32:
            raise npz.BadArrays(f"they are {features.dtype} {features.shape}, not float32 {expected}")
        return features
    except (npz.BadArrays, KeyError) as reason:
        tqdm.write(f"The cached features {path.name} are damaged ({reason}): they are made again.")
        return None
