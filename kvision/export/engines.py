"""How a frozen network is run: Keras, or LiteRT behind the same call."""

from collections.abc import Callable

import keras
import numpy as np

from kvision import checks

__all__ = ["ENGINES", "choose", "start"]

ENGINES = ("auto", "keras", "litert")

# Lite0 at 224 px on 2 cores: conversion costs 2.2 s and saves 2.5 ms an image, at smaller sizes less.
_LITERT_FROM = 2048


def choose(engine: str, count: int | None) -> str:
    """Resolves "auto" for `count` images (None: unknown): LiteRT for many images on TensorFlow without a GPU."""
    checks.one_of("engine", engine, ENGINES)
    tensorflow = keras.backend.backend() == "tensorflow"
    if engine == "litert" and not tensorflow:
        raise checks.error("engine", expected="keras on this backend", received=f"litert on {keras.backend.backend()}")
    if engine != "auto":
        return engine
    if not tensorflow or (count is not None and count < _LITERT_FROM):
        return "keras"
    import tensorflow as tf

    return "keras" if tf.config.list_physical_devices("GPU") else "litert"


def start(model: keras.Model, engine: str, *, batch_size: int, threads: int | None = None) -> Callable:
    """Returns a function: images (n <= batch_size, H, W, 3) in [0, 255] -> float32 array, first axis n.

    Always inference mode. engine: "keras" or "litert". threads: of LiteRT; None takes every core.
    """
    return _litert(model, batch_size, threads) if engine == "litert" else _keras(model)


def _keras(model: keras.Model) -> Callable:
    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(images), "float32")

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
