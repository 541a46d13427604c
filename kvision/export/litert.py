"""Converts models to TFLite with built-in operations only, and runs TFLite models without TensorFlow."""

import contextlib
import io
import math
import os
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import archive, checks
from kvision.export.tflite_metadata import LABELS, TASK
from kvision.quiet import quiet

if TYPE_CHECKING:
    import keras

__all__ = ["LARGEST_LABELS", "Runner", "convert", "converter", "interpreter", "run_converter"]

LARGEST_LABELS = 1 << 20  # bytes; the class names of ImageNet-21k take half of this
_LARGEST, _LARGEST_SIDE = 4 << 30, 2048  # bytes of all tensors for one image; pixels
_TRIED_SIDE = 128  # pixels; a model for any image size is first allocated for this size


def convert(model: "keras.Model", *, batch_size: int | None = None) -> bytes:
    """Converts `model(image, training=False)` to a TFLite flatbuffer with float32 input and built-in operations.

    Args:
        model: A model with one image input.
        batch_size: Number of images in a call. If None, the default, any number is possible.

    Returns:
        The flatbuffer.
    """
    import tensorflow as tf

    spec = tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.float32, name="image")
    return run_converter(converter(tf.function(lambda image: model(image, training=False)).get_concrete_function(spec)))


def converter(function):
    """Returns a `tf.lite.TFLiteConverter` of one `tf.function` or concrete function."""
    import tensorflow as tf

    concrete = function.get_concrete_function() if hasattr(function, "get_concrete_function") else function
    # The second argument is the trackable object. For any object except `concrete`, the converter writes a SavedModel
    # and reads it again, which takes longer.
    found = tf.lite.TFLiteConverter.from_concrete_functions([concrete], concrete)
    found.exclude_conversion_metadata = True  # Otherwise the converter unpacks and packs the file once more.
    return found


def run_converter(converter) -> bytes:
    """Returns the flatbuffer of a `tf.lite.TFLiteConverter`, with built-in operations only."""
    import tensorflow as tf

    # Operations that are not built in need a delegate. The Python interpreters do not have it, so the file could not
    # run.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet(), contextlib.redirect_stdout(io.StringIO()):  # The converter prints very long messages.
        return converter.convert()


def interpreter(model: str | bytes, *, threads: int | None = None):
    """Returns a LiteRT interpreter.

    Args:
        model: The path of a file, or a flatbuffer.
        threads: Number of threads. Defaults to all cores.

    Returns:
        The `ai_edge_litert` interpreter. Its tensors are not allocated yet.
    """
    from ai_edge_litert.interpreter import Interpreter

    if isinstance(model, str) and not model.isprintable():  # LiteRT takes only paths in UTF-8.
        model = Path(model).read_bytes()
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    with quiet():  # LiteRT prints the name of its delegate.
        return Interpreter(**source, num_threads=threads or os.cpu_count() or 1)


class Runner:
    """Runs a `.tflite` file with LiteRT, without TensorFlow.

    Threads may share a runner. The runner handles one call at a time. LiteRT checks the structure of a file, but not
    all of its content, so a malicious file can still crash the process.

    Args:
        path: The `.tflite` file.
        threads: Number of threads. Defaults to all cores.

    Attributes:
        labels: The class names inside the file, or None.
        image_size: Height and width in pixels of the images that the model takes. None if it takes any size.
        signature: The name of the signature that is run: `predict` if the file has it, otherwise the first signature of
            the file.
        facts: The text of `task.json` inside the file, or None.
        inputs: The shape of each input by name, such as `{"image": (-1, -1, -1, 3)}`. -1 is any length.

    Raises:
        UserError: If the file is not a TFLite model with a signature that takes `image`, or if it declares unreasonable
            sizes.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None):
        self._path, self._lock = path, threading.Lock()
        try:
            lite = interpreter(str(path), threads=threads)
            _check_sizes(lite)
            for given in lite.get_input_details():
                declared = given["shape_signature"].tolist()
                if declared[1:3] == [-1, -1]:  # The declared size, one pixel, is too small.
                    lite.resize_tensor_input(given["index"], [1, _TRIED_SIDE, _TRIED_SIDE, *declared[3:]])
            with quiet():  # LiteRT prints the name of its delegate.
                lite.allocate_tensors()
                found = {name: lite.get_signature_runner(name) for name in lite.get_signature_list()}
            for runner in found.values():
                if runner._subgraph_index not in range(lite.num_subgraphs()):  # LiteRT would read beyond its end.
                    raise ValueError("a signature names a graph that does not exist")
            self.signature = "predict" if "predict" in found else next(iter(found), "predict")
            self._run = found[self.signature]
            details = self._run.get_input_details()
            image = details["image"]
            self.inputs = {name: tuple(given["shape_signature"].tolist()) for name, given in details.items()}
            self.image_size, self._single = _image_size(image), image["shape_signature"].tolist()[:1] == [1]
        except (ValueError, RuntimeError, KeyError) as reason:
            raise self._refusal(
                "is no TFLite model with a signature `predict` and an input `image`", reason
            ) from reason
        try:
            labels = _read_inside(path, LABELS)
            self.labels = None if labels is None else labels.split("\n")
            self.facts = _read_inside(path, TASK)
        except archive.BadArchive as reason:
            raise self._refusal("has class names that cannot be read", reason) from reason

    def __call__(self, images: np.ndarray, **others: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the model on a batch.

        Args:
            images: RGB `(batch, height, width, 3)` in [0, 255]. A model that takes one image is run for each image.
            **others: The other inputs of the model by name, with one row per image.

        Returns:
            The outputs of the signature by name.

        Raises:
            UserError: If the model is damaged.
        """
        try:
            inputs = {name: np.asarray(rows, "float32") for name, rows in {"image": images, **others}.items()}
            with self._lock:  # All calls share the interpreter's memory for inputs and outputs.
                if not self._single or len(images) == 1:
                    return self._run(**inputs)
                each = [{name: rows[i : i + 1] for name, rows in inputs.items()} for i in range(len(images))]
                found = [self._run(**one) for one in each]
            return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
        except (ValueError, RuntimeError) as reason:
            raise self._refusal("cannot be run", reason) from reason

    def _refusal(self, problem: str, reason: Exception) -> checks.UserError:
        return checks.UserError(
            "path",
            problem=f"{problem} ({' '.join(str(reason).split())[:300]})",
            expected="a file that kvision exported",
            received=str(self._path),
            hint="Export it again, or copy the original file again",
        )


def _check_sizes(lite) -> None:
    """Checks the declared sizes before memory is allocated. A file of 4 KB can declare images of 10 GB."""
    declared = 0
    for graph in range(lite.num_subgraphs()):
        for tensor in lite.get_tensor_details(graph):
            declared += math.prod(max(n, 1) for n in tensor["shape"].tolist()) * np.dtype(tensor["dtype"]).itemsize
    if declared > _LARGEST:
        raise ValueError(f"its tensors take {declared:,} bytes for one image, at most {_LARGEST:,} are accepted")


def _image_size(details: dict) -> int | None:
    """Returns the height and width of the images that an input takes, or None for any size."""
    if details["shape_signature"].tolist()[1:] == [-1, -1, 3]:
        return None
    shape = details["shape"].tolist()
    if len(shape) != 4 or shape[1] != shape[2] or not 1 <= shape[1] <= _LARGEST_SIDE or shape[3] != 3:
        raise ValueError(f"it takes images of the shape {shape}, at most {_LARGEST_SIDE} pixels are accepted")
    return int(shape[1])


def _read_inside(path: str | Path, name: str) -> str | None:
    """Returns the text of an associated file inside a `.tflite` file, or None if there is no such file."""
    if not zipfile.is_zipfile(path):
        return None
    with archive.opened(path) as file:
        if name not in file.namelist():
            return None
        info = archive.stored_member(file, name)
        if info.file_size > LARGEST_LABELS:
            raise archive.BadArchive(f"they take {info.file_size:,} bytes, at most {LARGEST_LABELS:,} are read")
        return file.read(info).decode("utf-8")
