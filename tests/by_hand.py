"""A tiny encoder and the projectors again, in NumPy and float64, for oracles of whole methods."""

import keras
import numpy as np

import kvision as kv

WIDTH = 5


def encoder(size: int = 8) -> keras.Model:
    """Patches of two pixels -> tanh of a linear map -> their mean; offsets are not zero."""
    image = keras.Input((size, size, 3), name="image")
    offsets = keras.initializers.RandomNormal(stddev=0.5)
    options = {"activation": "tanh", "bias_initializer": offsets, "name": "conv"}
    x = keras.layers.Conv2D(WIDTH, 2, strides=2, **options)(kv.layers.Preprocess("unit")(image))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="tiny")


def scattered(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random numbers in every weight that trains, so that offsets and gains show."""
    random = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(random.normal(0.3, 0.7, variable.shape))
    return model


def features(weights: list[np.ndarray], images: np.ndarray) -> np.ndarray:
    """What `encoder` gives for images of any even size; weights: of its convolution."""
    kernel, bias = (w.astype("float64") for w in weights)
    found = []
    for image in images / 255:
        height, width, _ = image.shape
        patches = [image[r : r + 2, c : c + 2] for r in range(0, height, 2) for c in range(0, width, 2)]
        found.append(np.mean([np.tanh(np.tensordot(patch, kernel, 3) + bias) for patch in patches], axis=0))
    return np.stack(found)


def projected(weights: list[np.ndarray], x: np.ndarray, *, norm: bool = True) -> np.ndarray:
    """What a projector of one or two sizes gives for one batch in training; norm: of its statistics."""
    weights = [w.astype("float64") for w in weights]
    if len(weights) > 2:
        first, weights = weights[:-2], weights[-2:]
        if norm:
            kernel, gain, shift, _, _ = first
            x = x @ kernel
            x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * gain + shift
        else:
            kernel, bias = first
            x = x @ kernel + bias
        x = np.maximum(x, 0)
    kernel, bias = weights
    return x @ kernel + bias


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
