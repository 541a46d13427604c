"""How a frozen network is run: Keras, LiteRT or OpenVINO behind the same call."""

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

    Raises:
        kvision.UserError: If the name is unknown, the backend is not TensorFlow, or a package is not installed.
    """
    checks.one_of("engine", engine, ENGINES)
    if engine in ("litert", "openvino") and keras.backend.backend() != "tensorflow":
        received = f"{engine} on {keras.backend.backend()}"
        raise checks.error("engine", expected="keras on this backend", received=received)
    if engine == "openvino" and not _has_openvino():
        raise checks.error(
            "engine",
            problem="needs a package that is not installed",
            expected="the extra `openvino`",
            received=engine,
            hint=f"Run: {installation.extra('openvino')}",
        )
    return engine


def candidates() -> tuple[str, ...]:
    """Returns the engines that "auto" chooses from: all that are installed, Keras alone where it can use a GPU."""
    if keras.backend.backend() != "tensorflow":
        return ("keras",)
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return ("keras",)
    return ("keras", "litert", "openvino") if _has_openvino() else ("keras", "litert")


def _has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def start(
    model: keras.Model, engine: str, *, batch_size: int, threads: int | None = None, flatbuffer: bytes | None = None
) -> Callable:
    """Starts an engine on a model, always in inference mode.

    Args:
        model: A model of one image input and one output.
        engine: "keras", "litert" or "openvino".
        batch_size: The largest number of images in a call.
        threads: Threads of LiteRT and OpenVINO. If None, they use every core.
        flatbuffer: What `litert.convert(model, batch_size=batch_size)` returned, if the caller already has it.

    Returns:
        A function from images `(n, height, width, channels)` in [0, 255] to a float32 array whose first axis is n.
    """
    if engine == "keras":
        return _keras(model)
    flatbuffer = flatbuffer or litert.convert(model, batch_size=batch_size)
    return (_litert if engine == "litert" else _openvino)(model, flatbuffer, batch_size, threads)


def _keras(model: keras.Model) -> Callable:
    def run(images: np.ndarray) -> np.ndarray:
        # a model that was made under a strategy answers once for each replica, with the first one's rows first
        return np.asarray(model.predict_on_batch(images), "float32")[: len(images)]

    return run


def _litert(model: keras.Model, flatbuffer: bytes, batch_size: int, threads: int | None) -> Callable:
    # a fixed batch keeps every tensor static, which XNNPACK needs; a short one is padded with zeros and cut
    interpreter = litert.interpreter(flatbuffer, threads=threads)
    interpreter.allocate_tensors()
    image = interpreter.get_input_details()[0]["index"]
    feature = interpreter.get_output_details()[0]["index"]

    def run(images: np.ndarray) -> np.ndarray:
        buffer = interpreter.tensor(image)()
        buffer[: len(images)] = images  # casts uint8 in place: no float copy of the batch
        buffer[len(images) :] = 0
        del buffer  # the interpreter refuses to run while a view of its memory lives
        interpreter.invoke()
        return interpreter.get_tensor(feature)[: len(images)]

    return run


def _openvino(model: keras.Model, flatbuffer: bytes, batch_size: int, threads: int | None) -> Callable:
    import openvino

    # without the hint, processors with bfloat16 compute in it, and the third digit differs
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1}
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:  # it reads TFLite from files; a SavedModel takes it twice as long
        path = Path(folder, "model.tflite")
        path.write_bytes(flatbuffer)
        compiled = core.compile_model(core.read_model(path), "CPU", settings)
    buffer = np.zeros((batch_size, *model.input_shape[1:]), "float32")

    def run(images: np.ndarray) -> np.ndarray:
        buffer[: len(images)] = images
        buffer[len(images) :] = 0
        return compiled(buffer)[0][: len(images)].copy()  # the next call may use the memory again

    return run
