"""Runs a frozen network with Keras, LiteRT or OpenVINO through the same function."""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kvision import checks, installation
from kvision.export import litert

__all__ = ["ENGINES", "candidates", "check", "start"]

ENGINES = ("auto", "keras", "litert", "openvino")


def check(engine: str) -> str:
    """Returns `engine` if it can run here.

    Args:
        engine: The name of an engine, or "auto".

    Returns:
        The same name.

    Raises:
        UserError: If the name is unknown, the backend is not TensorFlow, or a package is not installed.
    """
    checks.one_of("engine", engine, ENGINES)
    if engine in ("litert", "openvino") and keras.backend.backend() != "tensorflow":
        received = f"{engine} on {keras.backend.backend()}"
        raise checks.UserError("engine", expected="keras on this backend", received=received)
    if engine == "openvino" and not _has_openvino():
        raise checks.UserError(
            "engine",
            problem="needs a package that is not installed",
            expected="the extra `openvino`",
            received=engine,
            hint=f"Run: {installation.extra('openvino')}",
        )
    return engine


def candidates() -> tuple[str, ...]:
    """Returns the engines that "auto" chooses from: all installed engines, or only Keras if it can use a GPU."""
    if keras.backend.backend() != "tensorflow":
        return ("keras",)
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return ("keras",)
    return ("keras", "litert", "openvino") if _has_openvino() else ("keras", "litert")


def _has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def start(model: keras.Model, engine: str, *, batch_size: int, flatbuffer: bytes | None = None) -> Callable:
    """Starts an engine for a model, in inference mode and on all cores.

    Args:
        model: A model with one image input and one output.
        engine: "keras", "litert" or "openvino".
        batch_size: The largest number of images in a call.
        flatbuffer: The result of `litert.convert(model, batch_size=batch_size)`, if the caller already has it.

    Returns:
        A function from images `(n, height, width, channels)` in [0, 255] to a float32 array with n rows.
    """
    if engine == "keras":
        return _keras(model)
    flatbuffer = flatbuffer or litert.convert(model, batch_size=batch_size)
    return _litert(flatbuffer) if engine == "litert" else _openvino(model, flatbuffer, batch_size)


def _keras(model: keras.Model) -> Callable:
    def run(images: np.ndarray) -> np.ndarray:
        # A model that was created under a strategy returns the rows of each replica. The rows of the first replica come
        # first.
        return np.asarray(model.predict_on_batch(images), "float32")[: len(images)]

    return run


def _litert(flatbuffer: bytes) -> Callable:
    # XNNPACK needs static tensors, so the batch size is fixed. A smaller batch is padded with zeros, and the result is
    # cut.
    interpreter = litert.interpreter(flatbuffer)
    interpreter.allocate_tensors()
    image = interpreter.get_input_details()[0]["index"]
    feature = interpreter.get_output_details()[0]["index"]

    def run(images: np.ndarray) -> np.ndarray:
        buffer = interpreter.tensor(image)()
        buffer[: len(images)] = images  # casts uint8 in place, without a float copy of the batch
        buffer[len(images) :] = 0
        del buffer  # the interpreter refuses to run while a view of its memory exists
        interpreter.invoke()
        return interpreter.get_tensor(feature)[: len(images)]

    return run


def _openvino(model: keras.Model, flatbuffer: bytes, batch_size: int) -> Callable:
    import openvino

    # Without the hint, processors with bfloat16 compute in bfloat16, and the third digit differs.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": os.cpu_count() or 1}
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:  # OpenVINO reads TFLite from files; a SavedModel takes twice as long
        path = Path(folder, "model.tflite")
        path.write_bytes(flatbuffer)
        compiled = core.compile_model(core.read_model(path), "CPU", settings)
    buffer = np.zeros((batch_size, *model.input_shape[1:]), "float32")

    def run(images: np.ndarray) -> np.ndarray:
        buffer[: len(images)] = images
        buffer[len(images) :] = 0
        return compiled(buffer)[0][: len(images)].copy()  # the next call may use the memory again

    return run
