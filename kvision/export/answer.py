"""An exported model that is asked with the bytes of image files, whichever of its files it is."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvision import checks
from kvision.export.alone import import_tensorflow
from kvision.export.plain_path import plain_path
from kvision.pixels import MAX_PIXELS, BadImage, pillow, read_header
from kvision.pixels.label_colors import palette

__all__ = ["Opened", "open_model"]

# for each image what the model says: probabilities (C,), or labels (H, W); or why there is no answer
_Answer = Callable[[list[bytes]], list[np.ndarray | str]]


@dataclass(frozen=True)
class Opened:
    """answer: file bytes of a batch -> for each probabilities (C,) or, of a model with a label for each pixel, labels
    (H, W) uint8 in the image's own size; or the reason why there is none. labels: the class names, or None.
    colors: of the labels; None for a classifier.
    """

    answer: _Answer
    labels: Sequence[str] | None
    colors: Sequence[Sequence[int]] | None = None

    def names(self, count: int) -> Sequence[str]:
        """Returns `count` different class names: numbers if the model has none, numbered ones if it names two alike.

        Raises:
            kvision.UserError: If the model has another number of names.
        """
        if self.labels is not None and len(self.labels) != count:
            raise checks.error(
                "MODEL",
                problem="has another number of class names than of classes",
                expected=f"{count} names in its labels.txt",
                received=len(self.labels),
                hint="Export it again",
            )
        if self.labels is None:
            return [str(i) for i in range(count)]
        alike = Counter(self.labels)
        return [f"{label} ({i})" if alike[label] > 1 else label for i, label in enumerate(self.labels)]


def open_model(path: Path, *, engine: str = "tflite") -> Opened:
    """Opens an exported model.

    Args:
        path: A `.tflite` file, the folder of a version, or the folder of all versions, whose newest is taken.
        engine: What of a version answers. "tflite" is its `model.tflite`, run by LiteRT without TensorFlow.
            "tensorflow" is its SavedModel, which is code: loading it can read and write files.

    Returns:
        The opened model.

    Raises:
        kvision.UserError: If there is no such model, or it cannot be used.
    """
    from kvision.export import versions

    if path.suffix == ".tflite" and path.is_file():
        if engine == "tensorflow":
            raise checks.error(
                "--engine",
                problem="tensorflow runs a SavedModel, and MODEL is a .tflite file",
                expected="the folder of a version, or no --engine",
                received=str(path),
            )
        return _litert(path)
    version = versions.require(path, or_a="a .tflite file, ")
    if engine == "tensorflow":
        return _saved_model(version)
    file = version / "assets.extra" / "model.tflite"
    if not file.is_file():
        raise checks.error(
            "MODEL",
            problem="has no assets.extra/model.tflite",
            expected="a version that kvision exported",
            received=str(version),
            hint="--engine tensorflow loads the SavedModel, which is code that can read and write your files: do so if "
            "you know where it comes from",
        )
    return _litert(file)


def _litert(path: Path) -> Opened:
    from kvision.export.litert import Runner

    runner = Runner(path)
    if runner.image_size is None:
        longest_side, colors = _facts(runner.facts, None if runner.labels is None else len(runner.labels))
        return Opened(_each(lambda data: _labels_of(runner, pillow.decode(data), longest_side)), runner.labels, colors)
    side = runner.image_size

    def answer(contents: list[bytes]) -> list[np.ndarray | str]:
        outcomes = _each(lambda data: pillow.load(data, side))(contents)
        good = [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, str)]
        if good:
            probabilities = runner(np.stack([outcomes[i] for i in good]))["probabilities"]
            if probabilities.ndim != 2 or len(probabilities) != len(good):
                raise checks.error("MODEL", expected="a row of probabilities an image", received=probabilities.shape)
            for i, row in zip(good, probabilities, strict=True):
                outcomes[i] = row
        return outcomes

    return Opened(answer, runner.labels)


def _each(one: Callable[[bytes], np.ndarray]) -> _Answer:
    def answer(contents: list[bytes]) -> list[np.ndarray | str]:
        outcomes: list[np.ndarray | str] = []
        for content in contents:
            try:
                outcomes.append(one(content))
            except BadImage as reason:
                outcomes.append(str(reason))
        return outcomes

    return answer


def _labels_of(runner, image: np.ndarray, longest_side: int | None) -> np.ndarray:
    """(H, W, 3) -> (H, W) uint8."""
    small = pillow.fit(image, longest_side)
    try:
        found = runner(small[None])["probabilities"]
    except checks.UserError as reason:  # a network has a smallest image
        raise BadImage(_too_small(image.shape[:2], reason)) from reason
    if found.ndim != 4 or found.shape[:3] != (1, *small.shape[:2]):
        raise checks.error("MODEL", expected="probabilities of every pixel", received=found.shape)
    return pillow.largest(found[0], image.shape[:2])


def _too_small(size: tuple[int, int], reason: Exception) -> str:
    return f"of {size[0]} x {size[1]} pixels the model makes nothing ({str(reason).splitlines()[0][:200]})"


def _saved_model(path: Path) -> Opened:
    from kvision.quiet import quiet

    with quiet():
        import_tensorflow()
    import tensorflow as tf

    try:
        with quiet(), plain_path(path) as reachable:  # the first operation looks for a GPU, loudly
            loaded = tf.saved_model.load(str(reachable))
        if "serve_bytes" not in loaded.signatures:
            raise ValueError(f"its signatures are {', '.join(loaded.signatures)}")
        serve = loaded.signatures["serve_bytes"]
        dense = "mask_bytes" in serve.structured_outputs
    except (OSError, ValueError, tf.errors.OpError) as reason:
        raise checks.error(
            "MODEL",
            problem=f"cannot be used: {str(reason).splitlines()[0]}",
            expected="a SavedModel with a signature `serve_bytes`, as kvision exports it",
            received=str(path),
        ) from reason

    def answer(contents: list[bytes]) -> list[np.ndarray | str]:
        outcomes: list[np.ndarray | str] = [""] * len(contents)
        sizes = [(0, 0)] * len(contents)
        for i, content in enumerate(contents):
            try:
                found = read_header(content)
                sizes[i] = (found.height, found.width)
            except BadImage as reason:
                outcomes[i] = str(reason)
        good = [i for i, outcome in enumerate(outcomes) if not len(outcome)]
        if good:
            try:
                rows = serve(image_bytes=tf.constant([contents[i] for i in good]))
            except tf.errors.OpError as reason:
                if not dense or len(good) > 1:
                    raise
                outcomes[good[0]] = _too_small(sizes[good[0]], reason)
                return outcomes
            key = "mask_bytes" if dense else "probabilities"
            for i, row, valid in zip(good, rows[key].numpy(), rows["valid"].numpy(), strict=True):
                said = tf.io.decode_png(row).numpy()[..., 0] if dense and valid else row
                outcomes[i] = said if valid else "it cannot be decoded"
        return outcomes

    extra = path / "assets.extra"
    text = _text(extra / "labels.txt")
    labels = None if text is None else text.split("\n")
    colors = _facts(_text(extra / "labels.json"), None if labels is None else len(labels))[1] if dense else None
    return Opened(answer, labels, colors)


def _facts(text: str | None, count: int | None) -> tuple[int | None, Sequence[Sequence[int]]]:
    """-> the longest side that the network is given, and the colors of the labels; of a file that may be anyone's."""
    none = (None, palette(count or 255))
    if text is None:
        return none
    try:
        found = json.loads(text)
        side, colors = found["longest_side"], found["colors"]
        if side is not None and not (type(side) is int and 1 <= side <= MAX_PIXELS):
            raise ValueError("longest_side is no count of pixels")
        table = np.array(colors)
        whole = table.dtype.kind == "i" and table.ndim == 2 and table.shape[1] == 3 and len(table) <= 255
        if not whole or table.min() < 0 or table.max() > 255:
            raise ValueError("colors are no list of (R, G, B)")
    except (ValueError, KeyError, TypeError, RecursionError) as reason:
        raise checks.error(
            "MODEL",
            problem=f"has a labels.json that cannot be read ({reason})",
            expected="the file that kvision wrote",
            received=text,
            hint="Export it again",
        ) from reason
    return side, table.tolist()


def _text(file: Path) -> str | None:
    from kvision.export.litert import LARGEST_LABELS

    if not file.is_file():
        return None
    with file.open("rb") as stream:
        text = stream.read(LARGEST_LABELS + 1)
    if len(text) > LARGEST_LABELS:
        raise checks.error("MODEL", problem=f"has too long a {file.name}", expected="at most 1 MB", received=str(file))
    return text.decode("utf-8", "replace").rstrip("\n")
