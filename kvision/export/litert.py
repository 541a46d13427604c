"""TFLite files: conversion with built-in operations only, labels inside, and a runner that needs no TensorFlow."""

import contextlib
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.quiet import quiet

if TYPE_CHECKING:
    import keras

__all__ = ["Runner", "convert", "convert_saved_model", "interpreter", "write_labels"]

_LABELS = "labels.txt"


def convert(model: "keras.Model", *, batch_size: int | None = None) -> bytes:
    """A Keras model -> TFLite flatbuffer of `model(image, training=False)`, float32 in, built-in operations only."""
    import tensorflow as tf

    spec = tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: model(image, training=False)).get_concrete_function(spec)
    return _convert(tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()))


def convert_saved_model(folder: str | Path, *, signatures: Sequence[str]) -> bytes:
    """The named signatures of a SavedModel -> one flatbuffer that shares their weights, built-in operations only."""
    import tensorflow as tf

    return _convert(tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=list(signatures)))


def _convert(converter) -> bytes:
    import tensorflow as tf

    # others need a delegate that the Python interpreters do not have: better no file than one that cannot run
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet(), contextlib.redirect_stdout(io.StringIO()):  # it writes pages
        return converter.convert()


def write_labels(path: str | Path, labels: Sequence[str]) -> None:
    """Packs class names into a `.tflite` as TFLite Metadata packs associated files: a zip behind the flatbuffer."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_LABELS, "\n".join(labels))


def interpreter(model: str | bytes, *, threads: int | None = None):
    """A LiteRT interpreter of a file's path or a flatbuffer; threads: None takes every core."""
    from ai_edge_litert.interpreter import Interpreter

    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    with quiet():  # it announces its delegate
        return Interpreter(**source, num_threads=threads or os.cpu_count() or 1)


class Runner:
    """Runs a `.tflite` file through LiteRT, without TensorFlow.

    labels: the class names inside the file, or None. image_size: the side S of the images it takes.
    Raises UserError for a file that is no TFLite model with a `predict` signature.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None):
        try:
            lite = interpreter(str(path), threads=threads)
            with quiet():
                lite.allocate_tensors()  # announces the delegate
                self._signatures = {name: lite.get_signature_runner(name) for name in lite.get_signature_list()}
            details = self._signatures["predict"].get_input_details()["image"]
        except (ValueError, RuntimeError, KeyError) as reason:
            raise checks.error(
                "model",
                problem=f"is no TFLite model with a signature `predict` and an input `image` ({str(reason).strip()})",
                expected="a file that kvision exported",
                received=str(path),
            ) from reason
        self.image_size = int(details["shape"][1])
        self.labels = _read_labels(path)

    def __call__(self, images: np.ndarray, *, signature: str = "predict") -> dict[str, np.ndarray]:
        """images: (B, S, S, 3) in [0, 255] -> the signature's outputs by name."""
        return self._signatures[signature](image=np.asarray(images, "float32"))


def _read_labels(path: str | Path) -> list[str] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(_LABELS).decode("utf-8").split("\n")
    except (zipfile.BadZipFile, KeyError):
        return None
