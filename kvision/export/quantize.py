"""Smaller TFLite files: weights in float16, or all but the head in int8."""

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kvision import checks
from kvision.export import litert, signatures
from kvision.progress import Bar
from kvision.quiet import quiet

__all__ = ["KINDS", "check", "convert", "file_name"]

KINDS = ("float32", "float16", "int8")


def file_name(kind: str) -> str:
    """Of a kind in `assets.extra/`."""
    return "model.tflite" if kind == "float32" else f"model_{kind}.tflite"


def check(kinds: Sequence[str], *, argument: str = "tflite") -> tuple[str, ...]:
    """The kinds in our order, float32 always among them; raises UserError for one that is not known."""
    for kind in kinds:
        checks.one_of(argument, kind, KINDS)
    return tuple(kind for kind in KINDS if kind == "float32" or kind in kinds)


def convert(folder: str | Path, kind: str, *, names: Sequence[str], representatives: np.ndarray | None = None) -> bytes:
    """The named signatures of a SavedModel -> one flatbuffer, float32 in and out, built-in operations only.

    float16: every weight is stored in half the bytes, and computed with in float32. int8: static quantization (Jacob et
    al. 2018, arXiv 1712.05877; weights a scale a channel, activations a scale a tensor, whose range `representatives`
    give: images (N, S, S, 3) as the model will see them). What `signatures.plain` marks as the head stays float32, and
    so does the operation before it (mostly the pooling): the votes of neighbors and trees flip otherwise, and a linear
    head is small.
    """
    import tensorflow as tf

    converter = litert.open_saved_model(folder, signatures=names)
    if kind == "float32":
        return litert.run_converter(converter)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
        return litert.run_converter(converter)
    if representatives is None:
        raise checks.error("representatives", problem="are missing", expected="images to calibrate int8", received=None)
    # the converter's own talk is silenced, the bar is not
    with os.fdopen(os.dup(2), "w") as screen, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")  # the converter uses it
        converter.representative_dataset = lambda: _requests(representatives, names, screen)
        # private names of TensorFlow, which setup.py pins to a minor version: the public door to parts left in float,
        # `QuantizationDebugger`, wants their names before there are any
        converter._experimental_calibrate_only = True
        calibrated = litert.run_converter(converter)
    return _quantize(calibrated)


def _requests(images: np.ndarray, names: Sequence[str], screen) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    with Bar(total=len(names) * len(images), desc="int8: ranges", unit=" images", leave=False, file=screen) as bar:
        for name in names:
            for image in images:
                yield name, {"image": image[None].astype("float32")}
                bar.update()


def _quantize(calibrated: bytes) -> bytes:
    from tensorflow.lite.python.convert import mlir_quantize

    with quiet():
        return bytes(mlir_quantize(calibrated, denylisted_nodes=_head(calibrated)))


def _head(flatbuffer: bytes) -> list[str]:
    """Names of what stays float32: all in the head's scope, the outputs of every signature, and what the head reads.

    The last, since the feature else gets the range of what the head makes of it first (minus the center of a bank:
    twice as coarse), and `embed` another than `predict`.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    kept = set()
    for graph in model.subgraphs:
        names = [tensor.name.decode() for tensor in graph.tensors]
        head = {i for i, name in enumerate(names) if signatures.HEAD in name}
        around = [{*step.inputs, *step.outputs} for step in graph.operators]
        inside = head.union(graph.outputs, *(ends for ends in around if ends & head))
        kept |= {names[i] for i in inside if i >= 0}  # -1: an input left out
    return sorted(kept)
