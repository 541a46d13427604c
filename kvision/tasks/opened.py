"""Answers to encoded images from a TFLite model or a SavedModel."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kvision import checks
from kvision.export import versions
from kvision.export.alone import import_tensorflow
from kvision.export.litert import LARGEST_LABELS, Runner
from kvision.export.plain_path import plain_path
from kvision.export.task import Answer, Arrays, Task
from kvision.export.tflite_metadata import LABELS, TASK
from kvision.pixels import BadImage, read_header
from kvision.quiet import quiet
from kvision.tasks import TASKS, Classification

__all__ = ["Opened", "open_model"]

_BATCH = 32
_Run = Callable[[list[bytes]], Sequence[Arrays | str]]


class Opened:
    """An exported model that answers encoded images.

    Attributes:
        task: What it answers.
        batch_size: How many images it takes at once: one, if they may have several sizes.
    """

    def __init__(self, task: Task, run: _Run, *, one_size: bool):
        self.task, self._run = task, run
        self.batch_size = _BATCH if one_size else 1

    def answers(self, contents: Sequence[bytes]) -> Iterator[Answer | str]:
        """Yields an answer for each file, or the reason why there is none.

        Args:
            contents: The bytes of image files.
        """
        for start in range(0, len(contents), self.batch_size):
            batch = list(contents[start : start + self.batch_size])
            for content, row in zip(batch, self._run(batch), strict=True):
                try:
                    yield row if isinstance(row, str) else self.task.decode(row, content)
                except BadImage as reason:  # TensorFlow's decoder reads more of a damaged GIF than Pillow's
                    yield str(reason)


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
    if path.suffix == ".tflite" and path.is_file():
        if engine == "tensorflow":
            raise checks.error(
                "--engine",
                problem="tensorflow runs a SavedModel, and MODEL is a .tflite file",
                expected="the folder of a version, or no --engine",
                received=str(path),
            )
        return _tflite(path)
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
    return _tflite(file)


def _tflite(path: Path) -> Opened:
    runner = Runner(path)
    task = _task(runner.facts, runner.labels)

    def run(contents: list[bytes]) -> list[Arrays | str]:
        rows: list[Any] = []
        for content in contents:
            try:
                rows.append(task.read(content, runner.image_size))
            except BadImage as reason:
                rows.append(str(reason))
        good = [i for i, row in enumerate(rows) if not isinstance(row, str)]
        if good:
            images = np.stack([rows[i] for i in good])
            try:
                outputs = runner(images)
            except checks.UserError as reason:
                if runner.image_size is not None:
                    raise
                return [_too_small(images.shape[1:3], reason)]
            for number, i in enumerate(good):
                rows[i] = {name: value[number] for name, value in outputs.items()}
        return rows

    return Opened(task, run, one_size=runner.image_size is not None)


def _saved_model(path: Path) -> Opened:
    with quiet():
        import_tensorflow()
    import tensorflow as tf

    try:
        with quiet(), plain_path(path) as reachable:  # the first operation looks for a GPU, loudly
            loaded = tf.saved_model.load(str(reachable))
        if "serve_bytes" not in loaded.signatures:
            raise ValueError(f"its signatures are {', '.join(loaded.signatures)}")
    except (OSError, ValueError, tf.errors.OpError) as reason:
        raise checks.error(
            "MODEL",
            problem=f"cannot be used: {str(reason).splitlines()[0]}",
            expected="a SavedModel with a signature `serve_bytes`, as kvision exports it",
            received=str(path),
        ) from reason
    extra = path / "assets.extra"
    labels = _text(extra / LABELS)
    task = _task(_text(extra / TASK), None if labels is None else labels.split("\n"))

    def run(contents: list[bytes]) -> list[Arrays | str]:
        rows: list[Any] = [_refused(content) for content in contents]
        good = [i for i, row in enumerate(rows) if row is None]
        if good:
            try:
                # `loaded` stays alive: its signatures hold their variables weakly.
                outputs = loaded.signatures["serve_bytes"](image_bytes=tf.constant([contents[i] for i in good]))
            except tf.errors.OpError as reason:
                if len(contents) > 1 or task.default_size is None:
                    raise
                header = read_header(contents[0])
                return [_too_small((header.height, header.width), reason)]
            arrays = {name: value.numpy() for name, value in outputs.items()}
            for number, i in enumerate(good):
                row = {name: value[number] for name, value in arrays.items()}
                rows[i] = row if row.get("valid", True) else "it cannot be decoded"
        return rows

    return Opened(task, run, one_size=task.default_size is None)


def _refused(content: bytes) -> str | None:
    """Returns why a file is not decoded, by its header."""
    try:
        read_header(content)
    except BadImage as reason:
        return str(reason)
    return None


def _too_small(size: tuple[int, int], reason: Exception) -> str:
    return f"it is too small for this model: {size[0]} x {size[1]} pixels ({str(reason).splitlines()[0][:200]})"


def _task(facts: str | None, labels: list[str] | None) -> Task:
    """Returns the task of a file that anyone may have written. Without facts, as of another program's file, it is a
    classifier."""
    if facts is None:
        return Classification(labels)
    try:
        found = json.loads(facts)
        return TASKS[checks.one_of("task", found["task"], TASKS)].from_facts(found, labels)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as reason:
        raise checks.error(
            "MODEL",
            problem=f"has a {TASK} that cannot be used ({reason})",
            expected="the file that kvision wrote",
            received=facts,
            hint="Export it again",
        ) from reason


def _text(file: Path) -> str | None:
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        text = stream.read(LARGEST_LABELS + 1)
    if len(text) > LARGEST_LABELS:
        raise checks.error("MODEL", problem=f"has too long a {file.name}", expected="at most 1 MB", received=str(file))
    return text.decode("utf-8", "replace").rstrip("\n")
