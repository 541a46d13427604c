"""The TensorFlow half: works eagerly, in `tf.data` and inside an exported graph."""

import functools

__all__ = ["decode", "load", "resize", "try_load"]


def decode(data):
    """Encoded bytes, a string scalar -> (H, W, 3) uint8 RGB; alpha over white. tf.errors.InvalidArgumentError if bad."""
    import tensorflow as tf

    def jpeg():
        # the default DCT is up to 5 levels off Pillow's; only this operation can be told
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")

    def png():
        rgba = tf.cast(tf.io.decode_png(data, channels=4), tf.int32)
        alpha = rgba[..., 3:]
        return tf.cast((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)

    def other():
        return tf.io.decode_image(data, channels=3, expand_animations=False)

    is_png = tf.strings.substr(data, 0, 4) == b"\x89PNG"
    image = tf.case([(tf.io.is_jpeg(data), jpeg), (is_png, png)], default=other, exclusive=True)
    return tf.ensure_shape(image, (None, None, 3))


def resize(images, image_size: int):
    """(H, W, 3) or (B, H, W, 3) -> side `image_size`, uint8: antialiased bilinear, aspect not kept, rounded."""
    import tensorflow as tf

    if tuple(images.shape[-3:-1]) == (image_size, image_size) and images.dtype == tf.uint8:
        return images
    scaled = tf.image.resize(images, (image_size, image_size), antialias=True)
    return tf.saturate_cast(tf.round(scaled), tf.uint8)


def load(data, image_size: int):
    """Encoded bytes -> (image_size, image_size, 3) uint8."""
    return resize(decode(data), image_size)


def try_load(data, image_size: int):
    """As `load`, in a graph: -> (image, True), or zeros and False where the bytes cannot be decoded.

    A graph cannot catch an error, but a data set inside it can leave out the element that raised.
    """
    import tensorflow as tf

    good = tf.data.Dataset.from_tensors(data).map(functools.partial(_marked, image_size=image_size)).ignore_errors()
    blank = tf.zeros((image_size, image_size, 3), tf.uint8)
    fallback = tf.data.Dataset.from_tensors((blank, False))
    return good.concatenate(fallback).take(1).get_single_element()


def _marked(data, image_size: int):
    return load(data, image_size), True
