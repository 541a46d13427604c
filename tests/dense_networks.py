"""What networks with a label for each pixel have in common, checked by one hand."""

import keras
import numpy as np

SIZES = ((65, 97), (33, 47), (101, 64))


def numbers(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def noise(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (1, *size, 3)).astype("float32")


def any_size(model: keras.Model, classes: int, sizes=SIZES) -> None:
    """One logit a class and pixel, at odd sizes too, and another image gives others."""
    for size in sizes:
        found = numbers(model(noise(*size), training=False))
        assert found.shape == (1, *size, classes) and found.dtype == np.float32
        assert np.isfinite(found).all() and found.std() > 1e-4
        other = numbers(model(noise(*size, seed=1), training=False))
        assert np.abs(found - other).max() > 1e-4 * np.abs(found).max()


def reaches_the_output(model: keras.Model, size=(64, 96)) -> list[float]:
    """Of each tap of the pyramid in `body` the largest gradient of the logits at the center with respect to it."""
    import tensorflow as tf

    body = model.get_layer("body")
    taps = body.backbone(noise(*size), training=False)
    found = []
    features = [tf.convert_to_tensor(tap) for tap in taps]
    after = keras.Model([model.input, *body.output], model.output)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = after([tf.constant(noise(*size)), *features], training=False)
        center = logits[0, size[0] // 2, size[1] // 2]
        loss = tf.reduce_sum(center * tf.constant(np.linspace(-1, 2, logits.shape[-1]).astype("float32")))
    for gradient in tape.gradient(loss, features):
        found.append(0.0 if gradient is None else float(tf.reduce_max(tf.abs(gradient))))
    return found
