"""Predicts from encoded images with a TFLite model or a SavedModel."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kvision import checks
from kvision.export import alone, versions
from kvision.export.litert import Runner
from kvision.export.more_methods import Fillable
from kvision.export.task import Answer, Arrays, Task
from kvision.export.tflite_metadata import LABELS, TASK
from kvision.pixels import BadImage, read_header
from kvision.tasks import TASKS, Classification

__all__ = ["Opened", "open_model"]

_BATCH = 32


class Opened:
    """An exported model that predicts from encoded images. `open_model` creates it.

    Args:
        task: The task of the model.
        prepare: Checks or decodes an image file. Raises `BadImage` for a file that cannot be decoded.
        predict: Returns the outputs by name for a list of prepared files. Each output has one row per file. Raises
            `BadImage` if the images are too small for the model.
        one_size: Whether the model takes images of one size only. Then several images are predicted at once.
        call: Runs the signature `predict` on its inputs by name, and returns its outputs by name. None if the model has
            no such signature.
        inputs: The shape of each input of `call`. -1 is any length.

    Attributes:
        task: The task of the model.
        batch_size: Number of images that are predicted at once.
        inputs: The shape of each input of `call` by name, such as `{"image": (-1, -1, -1, 3)}`. -1 is any length.
    """

    def __init__(
        self,
        task: Task,
        prepare: Callable[[bytes], Any],
        predict: Callable[[list], Arrays],
        *,
        one_size: bool,
        call: Callable[..., Arrays] | None = None,
        inputs: Mapping[str, tuple[int, ...]] | None = None,
    ):
        self.task, self._prepare, self._predict = task, prepare, predict
        self._call, self.inputs = call, dict(inputs or {})
        self.batch_size = _BATCH if one_size else 1

    def call(self, **inputs: np.ndarray) -> Arrays:
        """Runs the signature `predict` on pixels, for programs that have no image files, such as frames of a video.

        Args:
            **inputs: A batch for each input of the model, float32: `image` `(batch, height, width, 3)` in [0, 255], and
                the other names of the attribute `inputs`.

        Returns:
            The outputs by name.

        Raises:
            UserError: If the names or the shapes do not fit the model, or the model cannot be run.
        """
        given = {name: np.shape(rows) for name, rows in inputs.items()}
        fits = given.keys() == self.inputs.keys() and all(_fits(given[name], self.inputs[name]) for name in given)
        if self._call is None or not fits:
            raise checks.UserError("inputs", expected=f"arrays of the shapes {self.inputs}", received=given)
        return self._call(**inputs)

    def answers(self, contents: Sequence[bytes]) -> Iterator[Answer | str]:
        """Predicts image files.

        Args:
            contents: The bytes of image files.

        Yields:
            An answer for each file, or the reason why there is no answer.
        """
        for content, found in zip(contents, self.outputs(contents), strict=True):
            yield found if isinstance(found, str) else self.answer(found, content)

    def answer(self, outputs: Arrays, content: bytes) -> Answer | str:
        """Returns the answer of `Task.decode`, or the reason why there is no answer."""
        try:
            return self.task.decode(outputs, content)
        except BadImage as reason:  # TensorFlow decodes more of a damaged GIF than Pillow does.
            return str(reason)

    def outputs(self, contents: Sequence[bytes]) -> Iterator[Arrays | str]:
        """Runs the model on image files.

        Args:
            contents: The bytes of image files.

        Yields:
            The outputs for each file, for `Task.decode`, or the reason why there are no outputs.
        """
        for start in range(0, len(contents), self.batch_size):
            yield from self._batch(contents[start : start + self.batch_size])

    def _batch(self, contents: Sequence[bytes]) -> list[Arrays | str]:
        found: dict[int, Arrays | str] = {}
        prepared: dict[int, Any] = {}
        for i, content in enumerate(contents):
            try:
                prepared[i] = self._prepare(content)
            except BadImage as reason:
                found[i] = str(reason)
        try:
            outputs = self._predict(list(prepared.values())) if prepared else {}
        except BadImage as reason:
            return [str(reason)] * len(contents)
        for row, i in enumerate(prepared):
            values = {name: value[row] for name, value in outputs.items()}
            found[i] = values if values.get("valid", True) else "it cannot be decoded"
        return [found[i] for i in range(len(contents))]


def open_model(path: Path, *, engine: str = "tflite") -> Opened:
    """Opens an exported model.

    Args:
        path: A `.tflite` file, the folder of a version, or the folder of all versions. From the latter the newest
            version is used.
        engine: Selects the file of a version that is run. `"tflite"` runs `model.tflite` with LiteRT, without
            TensorFlow. `"tensorflow"` runs the SavedModel. A SavedModel is code: loading it can read and write files.

    Returns:
        The opened model.

    Raises:
        UserError: If there is no such model, or it cannot be used.
    """
    if path.suffix == ".tflite" and path.is_file():
        if engine == "tensorflow":
            raise checks.UserError(
                "engine",
                problem="tensorflow runs a SavedModel, and the model is a .tflite file",
                expected="the folder of a version, or the engine tflite",
                received=str(path),
            )
        return _tflite(path)
    version = versions.require(path, or_a="a .tflite file, ")
    if engine == "tensorflow":
        return _saved_model(version)
    file = version / "assets.extra" / "model.tflite"
    if not file.is_file():
        raise checks.UserError(
            "path",
            problem="has no assets.extra/model.tflite",
            expected="a version that kvision exported",
            received=str(version),
            hint="The engine tensorflow runs the SavedModel, which is code that can read and write your files: use it "
            "only if you know where the model comes from",
        )
    return _tflite(file)


def _tflite(path: Path) -> Opened:
    runner = Runner(path)
    task = _task(runner.facts, runner.labels)

    def predict(images: list[np.ndarray]) -> Arrays:
        batch = np.stack(images)
        others = task.fill(batch, runner.inputs) if isinstance(task, Fillable) else {}
        try:
            return runner(batch, **others)
        except checks.UserError as reason:
            if runner.image_size is not None:
                raise
            raise _too_small(images[0].shape[:2], reason) from reason

    def prepare(content: bytes) -> np.ndarray:
        return task.read(content, runner.image_size)

    def call(image: np.ndarray, **others: np.ndarray) -> Arrays:
        return runner(image, **others)

    one_size = runner.image_size is not None
    return Opened(task, prepare, predict, one_size=one_size, call=call, inputs=runner.inputs)


def _saved_model(path: Path) -> Opened:
    loaded = alone.load(path, argument="path")
    import tensorflow as tf

    if "serve_bytes" not in loaded.signatures:
        raise checks.UserError(
            "path",
            expected="a SavedModel with a signature `serve_bytes`, as kvision exports it",
            received=", ".join(loaded.signatures),
        )
    labels = _text(path / "assets.extra" / LABELS)
    task = _task(_text(path / "assets.extra" / TASK), None if labels is None else labels.split("\n"))

    def prepare(content: bytes) -> bytes:
        read_header(content)
        return content

    def predict(contents: list[bytes]) -> Arrays:
        try:
            # `loaded` must stay alive, because its signatures have only weak references to the variables.
            outputs = loaded.signatures["serve_bytes"](image_bytes=tf.constant(contents))
        except tf.errors.OpError as reason:
            if task.default_size is None:
                raise
            header = read_header(contents[0])
            raise _too_small((header.height, header.width), reason) from reason
        return {name: value.numpy() for name, value in outputs.items()}

    def call(**inputs: np.ndarray) -> Arrays:
        tensors = {name: tf.constant(rows, tf.float32) for name, rows in inputs.items()}
        try:
            outputs = loaded.signatures["predict"](**tensors)
        except tf.errors.OpError as reason:
            raise checks.UserError(
                "path",
                problem=f"cannot be run ({str(reason).splitlines()[0][:300]})",
                expected="a model that kvision exported, and images that are large enough for it",
                received=str(path),
            ) from reason
        return {name: value.numpy() for name, value in outputs.items()}

    predicts = loaded.signatures.get("predict")
    given = {} if predicts is None else predicts.structured_input_signature[1]
    shapes = {name: tuple(-1 if side is None else side for side in spec.shape) for name, spec in given.items()}
    return Opened(task, prepare, predict, one_size=task.default_size is None, call=call, inputs=shapes)


def _fits(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    return len(shape) == len(declared) and all(b in (-1, a) for a, b in zip(shape[1:], declared[1:], strict=True))


def _too_small(size: tuple[int, ...], reason: Exception) -> BadImage:
    return BadImage(
        f"the image is too small for this model: {size[0]} x {size[1]} pixels ({str(reason).splitlines()[0][:200]})"
    )


def _task(facts: str | None, labels: list[str] | None) -> Task:
    """Returns the task of a file, which anyone may have written. Only files of kvision have facts."""
    if facts is None:
        return Classification(labels)
    try:
        found = json.loads(facts)
        if found["task"] not in TASKS:
            raise ValueError(f"the task {found['task']!r} is not one of {', '.join(TASKS)}")
        return TASKS[found["task"]].from_facts(found, labels)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as reason:
        raise checks.UserError(
            "path",
            problem=f"has a {TASK} that cannot be used ({reason})",
            expected="the file that kvision wrote",
            received=facts,
            hint="Export the model again",
        ) from reason


def _text(file: Path) -> str | None:
    return file.read_text("utf-8", "replace").rstrip("\n") if file.is_file() else None
