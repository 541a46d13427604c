"""How a frozen network is run: Keras, LiteRT or OpenVINO behind the same call."""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kvision import checks

__all__ = ["ENGINES", "choose", "start"]

ENGINES = ("auto", "keras", "litert", "openvino")

# Lite0 at 224 px on 2 cores: conversion costs 2.2 s and saves 2.5 ms an image, at smaller sizes less.
_LITERT_FROM = 2048


def choose(engine: str, count: int | None) -> str:
    """Resolves "auto" for `count` images (None: unknown): LiteRT for many images on TensorFlow without a GPU."""
    checks.one_of("engine", engine, ENGINES)
    tensorflow = keras.backend.backend() == "tensorflow"
    if engine in ("litert", "openvino") and not tensorflow:
        received = f"{engine} on {keras.backend.backend()}"
        raise checks.error("engine", expected="keras on this backend", received=received)
    if engine == "openvino" and importlib.util.find_spec("openvino") is None:
        raise checks.error(
            "engine",
            problem="needs a package that is not installed",
            expected="the extra `openvino`",
            received=engine,
            hint="pip install 'kvision[openvino]'",
        )
    if engine != "auto":
        return engine
    if not tensorflow or (count is not None and count < _LITERT_FROM):
        return "keras"
    import tensorflow as tf

    return "keras" if tf.config.list_physical_devices("GPU") else "litert"


def start(model: keras.Model, engine: str, *, batch_size: int, threads: int | None = None) -> Callable:
    """Returns a function: images (n <= batch_size, H, W, 3) in [0, 255] -> float32 array, first axis n.

    Always inference mode. engine: "keras", "litert" or "openvino". threads: of the last two; None takes every core.
    """
    if engine == "keras":
        return _keras(model)
    return (_litert if engine == "litert" else _openvino)(model, batch_size, threads)


def _keras(model: keras.Model) -> Callable:
    def run(images: np.ndarray) -> np.ndarray:
        # a model that was made under a strategy answers once for each replica, with the first one's rows first
        return np.asarray(model.predict_on_batch(images), "float32")[: len(images)]

    return run


def _litert(model: keras.Model, batch_size: int, threads: int | None) -> Callable:
    from kvision.export import litert

    # a fixed batch keeps every tensor static, which XNNPACK needs; a short one is padded with zeros and cut
    interpreter = litert.interpreter(litert.convert(model, batch_size=batch_size), threads=threads)
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


def _openvino(model: keras.Model, batch_size: int, threads: int | None) -> Callable:
    import openvino

    from kvision.export import litert

    # without the hint, processors with bfloat16 compute in it, and the third digit differs
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1}
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:  # it reads TFLite from files; a SavedModel takes it twice as long
        path = Path(folder, "model.tflite")
        path.write_bytes(litert.convert(model, batch_size=batch_size))
        compiled = core.compile_model(core.read_model(path), "CPU", settings)
    buffer = np.zeros((batch_size, *model.input_shape[1:]), "float32")

    def run(images: np.ndarray) -> np.ndarray:
        buffer[: len(images)] = images
        buffer[len(images) :] = 0
        return compiled(buffer)[0][: len(images)].copy()  # the next call may use the memory again

    return run
