"""Images -> features, one pass, cached by content."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from kvision import atomic, checks, npz
from kvision.export import engines

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
    """Runs a frozen network over images once: -> features (N, D) float32, in the images' order.

    model: images (B, H, W, 3) in [0, 255] -> (B, D). images: an array (N, H, W, 3), uint8 or float in [0, 255], or a
    batched iterable of such arrays or of tuples that begin with one (`kv.data.folders(...)`, a `tf.data.Dataset`);
    never a path. batch_size: for arrays; an iterable brings its own. engine: "keras", "litert" or "openvino"
    (TensorFlow only; equal to 1e-4; the latter needs the extra `openvino`) or "auto", which chooses between the first
    two. cache: a folder; the features are kept there under the hash of weights, graph, engine and `images.fingerprint`
    (an array is hashed itself), so that a changed weight, image, size or preprocessing is another entry. A damaged
    entry is reported and made again. progress: a bar on standard error.
    Raises UserError for a model without a vector output, images of another size or range, an iterable without a
    fingerprint beside a cache, and no images at all.
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
                hint="Use kv.data.folders(PATH)",
            )
    counts = [len(s) if isinstance(s, np.ndarray) or hasattr(s, "fingerprint") else None for s in sets]
    total = sum(count for count in counts if count is not None)
    engine = engines.choose(engine, None if None in counts else total)  # one for all: they are compared
    started = _Started(model, engine)
    found = []
    for images, count in zip(sets, counts, strict=True):
        path = None if cache is None else Path(cache) / f"{cache_key(model, images, engine)}.npz"
        features = None if path is None else _read(path, count, model.output_shape[1])
        if features is None:
            features = _run(model, images, batch_size, started, count, progress)
            if path is not None:
                with atomic.file(path) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, features=features)
        found.append(features)
    return found


class _Started:
    """An engine, started by the first batch, and again by a larger one."""

    def __init__(self, model: keras.Model, engine: str):
        self.model, self.engine, self.batch_size = model, engine, 0

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        if len(batch) > self.batch_size:
            self.batch_size = len(batch)
            self.run = engines.start(self.model, self.engine, batch_size=self.batch_size)
        return self.run(batch)


def _run(model, images, batch_size, run: _Started, count, progress) -> np.ndarray:
    batches = _batches(model, images, batch_size)
    first = next(batches, None)
    if first is None or len(first) == 0:
        raise checks.error("images", expected="at least one image", received=images, problem="are empty")
    features = []
    with tqdm(total=count, desc=f"features ({run.engine})", unit=" images", disable=not progress) as bar:
        for batch in itertools.chain([first], batches):
            features.append(run(batch))
            bar.update(len(batch))
    return np.concatenate(features)


def _batches(model: keras.Model, images, batch_size: int) -> Iterator[np.ndarray]:
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8 and images.size and 0 < images.max() <= 1:
            raise checks.error(
                "images",
                problem="look scaled to [0, 1]",
                expected="values in [0, 255]: scaling is inside the model",
                received=f"{images.dtype} up to {images.max():.3g}",
                hint="Multiply them by 255",
            )
        batches = (images[i : i + batch_size] for i in range(0, len(images), batch_size))
    else:
        batches = iter(images)
    for batch in batches:
        batch = np.asarray(batch[0] if isinstance(batch, tuple | list) else batch)
        expected = model.input_shape[1:]
        if batch.ndim != 4 or any(e not in (None, size) for e, size in zip(expected, batch.shape[1:], strict=True)):
            raise checks.error(
                "images",
                problem="have another shape than the model's input",
                expected=f"batches (B, {', '.join(map(str, expected))})",
                received=batch.shape,
                hint="Resize them, or create the backbone with their image_size",
            )
        yield batch


def cache_key(model: keras.Model, images, engine: str) -> str:
    """SHA-256 of everything the features depend on: graph, weights, engine, images."""
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
    digest = hashlib.sha256(f"{graph} {engine} {fingerprint}".encode())
    for weight in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).data)
    return digest.hexdigest()


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
