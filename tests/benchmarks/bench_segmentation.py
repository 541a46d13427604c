"""One pass of a convolutionalized network against its sliding window, batched in one compiled call; the memory that a
photograph of 24 megapixels takes tile by tile.

Run: python tests/benchmarks/bench_segmentation.py windows      (256 x 256 pixels, windows of 64 at stride 8; minutes)
     python tests/benchmarks/bench_segmentation.py tiled        (6,000 x 4,000 pixels; minutes)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import resource
import statistics
import sys
import time

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIDE, WINDOW, STRIDE, ROUNDS = 256, 64, 8, 5


def network(hidden: int | str) -> keras.Model:
    """Nothing pads, stride 8: three convolutions with max-pools; then Flatten and Dense, or global pooling."""
    keras.utils.set_random_seed(0)
    image = keras.Input((WINDOW, WINDOW, 3), name="image")
    x = image
    for width in (16, 32, 64):
        x = layers.MaxPooling2D(2)(layers.Conv2D(width, 3, activation="relu")(x))
    if hidden == "global":
        x = layers.GlobalAveragePooling2D()(x)
    else:
        x = layers.Flatten()(x)
        x = layers.Dense(hidden, activation="relu")(x) if hidden else x
    return keras.Model(image, layers.Dense(10)(x))


def flops(model: keras.Model, height: int, width: int) -> int:
    """Multiplications and additions of kernels, for one image of that size."""
    total, tensor = 0, keras.KerasTensor((1, height, width, 3))
    for layer in model.layers[1:]:
        tensor = layer.compute_output_spec(tensor)
        if isinstance(layer, layers.Conv2D | layers.Dense):
            places = np.prod(tensor.shape[1:-1], dtype=int)
            total += 2 * int(places) * int(np.prod(layer.kernel.shape))
    return total


def seconds(call, image) -> float:
    started = time.perf_counter()
    call(image)
    return time.perf_counter() - started


def windows() -> None:
    image = tf.random.uniform((1, SIDE, SIDE, 3), seed=0)
    for hidden in (0, 128, 1024, "global"):
        model = network(hidden)
        convolutional = kv.segmentation.convolutionalize(model)
        count = (SIDE - WINDOW) // STRIDE + 1

        @tf.function
        def slide(image, model=model, count=count):
            shape = [1, WINDOW, WINDOW, 1]
            crops = tf.image.extract_patches(image, shape, [1, STRIDE, STRIDE, 1], [1, 1, 1, 1], "VALID")
            scores = model(tf.reshape(crops, (-1, WINDOW, WINDOW, 3)), training=False)
            return tf.reshape(scores, (count, count, -1))

        @tf.function
        def once(image, convolutional=convolutional):
            return convolutional(image, training=False)[0]

        gap = float(tf.reduce_max(tf.abs(slide(image) - once(image)[:count, :count])))
        pairs = [(seconds(slide, image), min(seconds(once, image) for _ in range(3))) for _ in range(ROUNDS)]
        speed = statistics.median(slow / fast for slow, fast in pairs)
        work = count**2 * flops(model, WINDOW, WINDOW) / flops(convolutional, SIDE, SIDE)
        print(
            f"hidden {hidden}: {speed:.1f}x as fast, {work:.1f}x less work ({speed / work:.2f} of it), "
            f"largest difference {gap:.1e}; {statistics.median(fast for _, fast in pairs) * 1000:.0f} ms a pass",
            flush=True,
        )


def tiled() -> None:
    """U-Net on Lite0 with 11 classes, as `kvision segment` has it, on noise of all grains."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (40, 60, 3)).astype("uint8")
    photograph = np.repeat(np.repeat(coarse, 100, axis=0), 100, axis=1)
    backbone = kv.backbones.create("EfficientNetLite0")
    model = kv.decoders.unet(backbone, 11, widths=(128, 64, 32, 16))
    started = time.perf_counter()
    labels = kv.segmentation.tiled(model, photograph, progress=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{labels.shape}: {time.perf_counter() - started:.0f} s, at most {peak:.2f} GB for all of the process")


if __name__ == "__main__":
    {"windows": windows, "tiled": tiled}[sys.argv[1]]()
