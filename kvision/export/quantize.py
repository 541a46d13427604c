"""The kinds of TFLite models: float32, weights in float16, or all but the head in int8; and features alone."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kvision import checks
from kvision.export import litert
from kvision.progress import Bar
from kvision.quiet import quiet

__all__ = ["ALL", "FEATURES", "HEAD", "KINDS", "check", "convert", "file_name"]

KINDS = ("float32", "float16", "int8")  # of `predict`
FEATURES = "features"  # of `embed`, in float32
ALL = (*KINDS, FEATURES)
HEAD = "kvision_head"  # the name scope of what a last layer computes, which stays in float32


def file_name(kind: str) -> str:
    """Returns the name of a kind's file in `assets.extra/`."""
    return {"float32": "model.tflite", FEATURES: "features.tflite"}.get(kind, f"model_{kind}.tflite")


def check(kinds: Sequence[str], *, argument: str = "tflite") -> tuple[str, ...]:
    """Returns the kinds in the order of `ALL`, float32 always among them.

    Raises:
        kvision.UserError: If a kind is not known.
    """
    for kind in kinds:
        checks.one_of(argument, kind, ALL)
    return tuple(kind for kind in ALL if kind == "float32" or kind in kinds)


def convert(function: Callable, kind: str, *, representatives: np.ndarray | None = None) -> bytes:
    """Converts a function of images to a flatbuffer with float32 input and output and built-in operations only.

    What stands in the name scope `HEAD` stays float32, and so does the operation before it (mostly the pooling):
    the votes of neighbors and trees flip otherwise, and a linear head is small.

    Args:
        function: A `tf.function` of `image` with one output.
        kind: "float16" stores weights in half the bytes and computes in float32. "int8" quantizes statically: a scale
            for each channel of a weight and for each activation. Others are float32.
        representatives: For int8, images `(count, size, size, 3)` as the model will see them. They give the range of
            each activation.

    References:
        Jacob et al. 2018, arXiv 1712.05877.
    """
    import tensorflow as tf

    converter = litert.converter(function)
    if kind in ("float32", FEATURES):
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
        # It asks for the statistics of quantized inputs even where inputs are float and ranges are calibrated.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        converter.representative_dataset = lambda: _requests(representatives, screen)
        # private names of TensorFlow, which setup.py pins to a minor version: the public door to parts left in float,
        # `QuantizationDebugger`, wants their names before there are any
        converter._experimental_calibrate_only = True
        calibrated = litert.run_converter(converter)
    return _quantize(calibrated)


def _requests(images: np.ndarray, screen) -> Iterator[list[np.ndarray]]:
    for image in Bar(images, desc="int8: ranges", unit=" images", leave=False, file=screen):
        yield [image[None].astype("float32")]


def _quantize(calibrated: bytes) -> bytes:
    from tensorflow.lite.python.convert import mlir_quantize

    with quiet():
        return bytes(mlir_quantize(calibrated, denylisted_nodes=_head(calibrated)))


def _head(flatbuffer: bytes) -> list[str]:
    """Returns the names of what stays float32: the tensors in the head's scope, the outputs, and what the head reads.

    The feature would otherwise get the range of the head's first result (minus the center of a bank: twice as coarse).
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    kept = set()
    for graph in model.subgraphs:
        names = [tensor.name.decode() for tensor in graph.tensors]
        head = {i for i, name in enumerate(names) if HEAD in name}
        around = [{*step.inputs, *step.outputs} for step in graph.operators]
        inside = head.union(graph.outputs, *(ends for ends in around if ends & head))
        kept |= {names[i] for i in inside if i >= 0}  # -1: an input left out
    return sorted(kept)
