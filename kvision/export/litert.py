"""TFLite files: conversion with built-in operations only, labels inside, and a runner that needs no TensorFlow."""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import archive, checks
from kvision.quiet import quiet

if TYPE_CHECKING:
    import keras

__all__ = ["LARGEST_LABELS", "Runner", "convert", "interpreter", "open_saved_model", "run_converter", "write_inside"]

LARGEST_LABELS = 1 << 20  # bytes: ImageNet-21k's names take half of it
_LABELS, _FACTS = "labels.txt", "labels.json"
_LARGEST, _LARGEST_SIDE = 4 << 30, 2048  # bytes of all tensors for one image; pixels
_TRIED_SIDE = 128  # pixels that a network for any size is first laid out for


def convert(model: "keras.Model", *, batch_size: int | None = None) -> bytes:
    """A Keras model -> TFLite flatbuffer of `model(image, training=False)`, float32 in, built-in operations only."""
    import tensorflow as tf

    spec = tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: model(image, training=False)).get_concrete_function(spec)
    return run_converter(tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()))


def open_saved_model(folder: str | Path, *, signatures: Sequence[str]):
    """A converter of the named signatures of a SavedModel into one flatbuffer, in which they share their weights."""
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=list(signatures))


def run_converter(converter) -> bytes:
    """The flatbuffer that a `tf.lite.TFLiteConverter` makes of built-in operations only, without its talk."""
    import tensorflow as tf

    # others need a delegate that the Python interpreters do not have: better no file than one that cannot run
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet(), contextlib.redirect_stdout(io.StringIO()):  # it writes pages
        return converter.convert()


def write_inside(path: str | Path, texts: Mapping[str, str]) -> None:
    """Packs texts by their names (class names as `labels.txt`) into a `.tflite` as TFLite Metadata packs associated
    files: a zip behind the flatbuffer."""
    if texts:
        with zipfile.ZipFile(path, "a") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)


def interpreter(model: str | bytes, *, threads: int | None = None):
    """A LiteRT interpreter of a file's path or a flatbuffer; threads: None takes every core."""
    from ai_edge_litert.interpreter import Interpreter

    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    with quiet():  # it announces its delegate
        return Interpreter(**source, num_threads=threads or os.cpu_count() or 1)


class Runner:
    """Runs a `.tflite` file through LiteRT, without TensorFlow.

    labels: the class names inside the file, or None. image_size: the side S of the images it takes; None: any size, and
    a label for each pixel is what it gives. facts: the text of `labels.json` inside of such a one.
    Raises UserError for a file that is no TFLite model with a `predict` signature, or declares unreasonable sizes.
    LiteRT checks the file's structure, not everything in it: one made with intent can still crash the process.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None):
        self._path = path
        try:
            lite = interpreter(str(path), threads=threads)
            _check_sizes(lite)
            for given in lite.get_input_details():
                if given["shape_signature"].tolist()[1:3] == [-1, -1]:  # a pixel, as declared, is too little for a net
                    lite.resize_tensor_input(given["index"], [1, _TRIED_SIDE, _TRIED_SIDE, 3])
            with quiet():
                lite.allocate_tensors()  # announces the delegate
                self._signatures = {name: lite.get_signature_runner(name) for name in lite.get_signature_list()}
            for runner in self._signatures.values():
                if runner._subgraph_index not in range(lite.num_subgraphs()):  # LiteRT reads beyond its list
                    raise ValueError("a signature names a graph that is not there")
            details = self._signatures["predict"].get_input_details()["image"]
            shape = details["shape"].tolist()
            any_size = details["shape_signature"].tolist()[1:] == [-1, -1, 3]
            if any_size:
                pass
            elif len(shape) != 4 or shape[1] != shape[2] or not 1 <= shape[1] <= _LARGEST_SIDE or shape[3] != 3:
                raise ValueError(f"it takes images of the shape {shape}, at most {_LARGEST_SIDE} pixels are accepted")
            if "probabilities" not in self._signatures["predict"].get_output_details():
                raise ValueError("it has no output `probabilities`")
        except (ValueError, RuntimeError, KeyError) as reason:
            raise self._refusal(
                "is no TFLite model with a signature `predict` and an input `image`", reason
            ) from reason
        self.image_size = None if any_size else int(shape[1])
        try:
            labels = _read_inside(path, _LABELS)
            self.labels = None if labels is None else labels.split("\n")
            self.facts = _read_inside(path, _FACTS)
        except archive.BadArchive as reason:
            raise self._refusal("has class names that cannot be read", reason) from reason

    def __call__(self, images: np.ndarray, *, signature: str = "predict") -> dict[str, np.ndarray]:
        """images: (B, S, S, 3) or (B, H, W, 3) in [0, 255] -> the signature's outputs by name; UserError for a damaged
        model."""
        try:
            return self._signatures[signature](image=np.asarray(images, "float32"))
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
