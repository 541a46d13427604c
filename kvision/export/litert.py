"""TFLite models: conversion with built-in operations only, and a runner that needs no TensorFlow."""

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

LARGEST_LABELS = 1 << 20  # bytes: ImageNet-21k's names take half of it
_LARGEST, _LARGEST_SIDE = 4 << 30, 2048  # bytes of all tensors for one image; pixels
_TRIED_SIDE = 128  # pixels that a network for any size is first laid out for


def convert(model: "keras.Model", *, batch_size: int | None = None) -> bytes:
    """Converts `model(image, training=False)` to a TFLite flatbuffer with float32 input and built-in operations."""
    import tensorflow as tf

    spec = tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.float32, name="image")
    return run_converter(converter(tf.function(lambda image: model(image, training=False)).get_concrete_function(spec)))


def converter(function):
    """Returns a `tf.lite.TFLiteConverter` of one `tf.function` or concrete function."""
    import tensorflow as tf

    concrete = function.get_concrete_function() if hasattr(function, "get_concrete_function") else function
    # With any other trackable object, the converter writes a SavedModel and reads it again, which takes longer.
    found = tf.lite.TFLiteConverter.from_concrete_functions([concrete], concrete)
    found.exclude_conversion_metadata = True  # the converter would unpack and pack the file once more
    return found


def run_converter(converter) -> bytes:
    """Returns the flatbuffer that a `tf.lite.TFLiteConverter` makes of built-in operations only."""
    import tensorflow as tf

    # others need a delegate that the Python interpreters do not have: better no file than one that cannot run
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet(), contextlib.redirect_stdout(io.StringIO()):  # it writes pages
        return converter.convert()


def interpreter(model: str | bytes, *, threads: int | None = None):
    """A LiteRT interpreter of a file's path or a flatbuffer; threads: None takes every core."""
    from ai_edge_litert.interpreter import Interpreter

    if isinstance(model, str) and not model.isprintable():  # LiteRT takes paths in UTF-8 alone
        model = Path(model).read_bytes()
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    with quiet():  # it announces its delegate
        return Interpreter(**source, num_threads=threads or os.cpu_count() or 1)


class Runner:
    """Runs a `.tflite` file with LiteRT, without TensorFlow.

    Threads may share a runner: it answers one call after the other. LiteRT checks the structure of a file, not all of
    its content: a file that was made with intent can still crash the process.

    Attributes:
        labels: The class names inside the file, or None.
        image_size: Height and width in pixels of the images that the model takes. None if it takes any size.
        signature: The name of the signature that is run: `predict`, or the file's first one.
        facts: The text of `task.json` inside the file, or None.

    Raises:
        kvision.UserError: If the file is no TFLite model with a signature of `image`, or declares unreasonable sizes.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None):
        self._path, self._lock = path, threading.Lock()
        try:
            lite = interpreter(str(path), threads=threads)
            _check_sizes(lite)
            for given in lite.get_input_details():
                if given["shape_signature"].tolist()[1:3] == [-1, -1]:  # a pixel, as declared, is too little for a net
                    lite.resize_tensor_input(given["index"], [1, _TRIED_SIDE, _TRIED_SIDE, 3])
            with quiet():
                lite.allocate_tensors()  # announces the delegate
                found = {name: lite.get_signature_runner(name) for name in lite.get_signature_list()}
            for runner in found.values():
                if runner._subgraph_index not in range(lite.num_subgraphs()):  # LiteRT reads beyond its list
                    raise ValueError("a signature names a graph that is not there")
            self.signature = "predict" if "predict" in found else next(iter(found), "predict")
            self._run = found[self.signature]
            details = self._run.get_input_details()["image"]
            shape = details["shape"].tolist()
            any_size = details["shape_signature"].tolist()[1:] == [-1, -1, 3]
            if any_size:
                pass
            elif len(shape) != 4 or shape[1] != shape[2] or not 1 <= shape[1] <= _LARGEST_SIDE or shape[3] != 3:
                raise ValueError(f"it takes images of the shape {shape}, at most {_LARGEST_SIDE} pixels are accepted")
        except (ValueError, RuntimeError, KeyError) as reason:
            raise self._refusal(
                "is no TFLite model with a signature `predict` and an input `image`", reason
            ) from reason
        self.image_size = None if any_size else int(shape[1])
        try:
            labels = _read_inside(path, LABELS)
            self.labels = None if labels is None else labels.split("\n")
            self.facts = _read_inside(path, TASK)
        except archive.BadArchive as reason:
            raise self._refusal("has class names that cannot be read", reason) from reason

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the model on a batch.

        Args:
            images: RGB `(batch, height, width, 3)` in [0, 255].

        Returns:
            The outputs of the signature by name.

        Raises:
            kvision.UserError: If the model is damaged.
        """
        try:
            with self._lock:  # the interpreter has one memory for inputs and outputs
                return self._run(image=np.asarray(images, "float32"))
        except (ValueError, RuntimeError) as reason:
            raise self._refusal("cannot be run", reason) from reason

    def _refusal(self, problem: str, reason: Exception) -> checks.UserError:
        return checks.error(
            "model",
            problem=f"{problem} ({' '.join(str(reason).split())[:300]})",
            expected="a file that kvision exported",
            received=str(self._path),
            hint="Export it again, or take it from where it was made",
        )


def _check_sizes(lite) -> None:
    """A file of 4 KB can declare images of 20,000 pixels: 10 GB. Looked at before anything is allocated."""
    declared = 0
    for graph in range(lite.num_subgraphs()):
        for tensor in lite.get_tensor_details(graph):
            declared += math.prod(max(n, 1) for n in tensor["shape"].tolist()) * np.dtype(tensor["dtype"]).itemsize
    if declared > _LARGEST:
        raise ValueError(f"its tensors take {declared:,} bytes for one image, at most {_LARGEST:,} are accepted")


def _read_inside(path: str | Path, name: str) -> str | None:
    if not zipfile.is_zipfile(path):
        return None
    with archive.opened(path) as file:
        if name not in file.namelist():
            return None
        info = archive.stored_member(file, name)
        if info.file_size > LARGEST_LABELS:
            raise archive.BadArchive(f"they take {info.file_size:,} bytes, at most {LARGEST_LABELS:,} are read")
        return file.read(info).decode("utf-8")
