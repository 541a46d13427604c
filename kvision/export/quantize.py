"""The kinds of TFLite models: float32, weights in float16, int8 except for the head, and features alone."""

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

KINDS = ("float32", "float16", "int8")  # kinds of the signature `predict`
FEATURES = "features"  # the kind of the signature `embed`, in float32
ALL = (*KINDS, FEATURES)
HEAD = "kvision_head"  # the name scope of the last layer; this layer stays in float32


def file_name(kind: str) -> str:
    """Returns the file name of a kind in `assets.extra/`."""
    return {"float32": "model.tflite", FEATURES: "features.tflite"}.get(kind, f"model_{kind}.tflite")


def check(kinds: Sequence[str], *, argument: str = "tflite") -> tuple[str, ...]:
    """Checks the kinds of TFLite models to write.

    Args:
        kinds: Names of kinds.
        argument: Name of `kinds` in the error.

    Returns:
        The kinds in the order of `ALL`, always with float32.

    Raises:
        UserError: If a kind is not known.
    """
    for kind in kinds:
        checks.one_of(argument, kind, ALL)
    return tuple(kind for kind in ALL if kind == "float32" or kind in kinds)


def convert(function: Callable, kind: str, *, representatives: np.ndarray | None = None) -> bytes:
    """Converts a function of images to a flatbuffer with float32 input and output and built-in operations only.

    For int8, operations in the name scope `HEAD` stay in float32. The operation before them (usually the pooling) stays
    in float32, too. Otherwise votes of neighbors and trees would change. A linear head is small in any case.

    Args:
        function: A `tf.function` of `image` with one output.
        kind: One of `ALL`. `"float16"` stores the weights in half the bytes and computes in float32. `"int8"` quantizes
            statically, with one scale for each channel of a weight and one scale for each activation.
        representatives: Typical images `(count, size, size, 3)` in [0, 255]. Required for int8, which measures the
            range of each activation on them.

    Returns:
        The flatbuffer.

    Raises:
        UserError: If the kind is int8 and there are no representatives.

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
        raise checks.UserError(
            "representatives", problem="are missing", expected="images to calibrate int8", received=None
        )
    # The messages of the converter are hidden. The progress bar is not hidden.
    with os.fdopen(os.dup(2), "w") as screen, warnings.catch_warnings():
        # The converter itself uses the deprecated interpreter, and warns about statistics that float inputs do not
        # need.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        converter.representative_dataset = lambda: _requests(representatives, screen)
        # These are private names of TensorFlow, so setup.py pins TensorFlow to a minor version. The public
        # `QuantizationDebugger` needs the names of the float parts before the converter has created these names.
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
    """Returns the names of the tensors that stay float32: tensors in the head's scope, its inputs, and the outputs.

    Otherwise the feature would get the quantization range of the head's first result, which can be twice as coarse.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    kept = set()
    for graph in model.subgraphs:
        names = [tensor.name.decode() for tensor in graph.tensors]
        head = {i for i, name in enumerate(names) if HEAD in name}
        around = [{*step.inputs, *step.outputs} for step in graph.operators]
        inside = head.union(graph.outputs, *(ends for ends in around if ends & head))
        kept |= {names[i] for i in inside if i >= 0}  # -1 stands for an optional input.
    return sorted(kept)
