"""The TensorFlow half: works eagerly, in `tf.data` and inside an exported graph."""

import re
from typing import TYPE_CHECKING

import numpy as np

from kvision.pixels import orientation
from kvision.pixels.header import MAX_PIXELS, BadImage, read_header

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["decode", "decode_bytes", "load", "resize", "try_load"]


def decode(data: "tf.Tensor") -> "tf.Tensor":
    """Encoded bytes, a string scalar -> (H, W, 3) uint8 RGB as shown: a JPEG's EXIF orientation applied, alpha over
    white, 16 bits are cut to the upper 8.

    JPEG, PNG and GIF (its first frame) are refused over `MAX_PIXELS`, before decoding. A color key, the transparency
    of a PNG without alpha channel or palette, is passed over. tf.errors.InvalidArgumentError if it cannot be decoded.
    """
    import tensorflow as tf

    def starts(magic: bytes):
        return tf.strings.substr(data, 0, len(magic)) == magic

    def only_if(condition):
        return tf.where(condition, data, b"")  # every decoder fails on no bytes: a refusal without an Assert

    def fits(size):
        return tf.reduce_prod(tf.cast(size, tf.int64)) <= MAX_PIXELS

    def number(position: int, length: int, dtype: tf.DType, little_endian: bool):
        return tf.io.decode_raw(tf.strings.substr(data, position, length), dtype, little_endian=little_endian)

    def jpeg():
        # the default DCT is up to 5 levels off Pillow's; only this operation can be told
        allowed = only_if(fits(tf.io.extract_jpeg_shape(data)[:2]))
        stored = tf.io.decode_jpeg(allowed, channels=3, dct_method="INTEGER_ACCURATE")
        return orientation.turn_in_graph(stored, orientation.in_graph(data))

    def png():
        # channels=4 would make the opaque pixels of files with less than 8 bits nearly transparent
        return _over_white(tf.io.decode_png(only_if(fits(number(16, 8, tf.int32, False))), channels=0))

    def gif():
        allowed = only_if(fits(number(6, 4, tf.uint16, True)))
        return tf.io.decode_image(allowed, channels=3, expand_animations=False)

    def bmp():
        bits = number(28, 1, tf.uint8, True)[0]  # with 8, palette indices would be read as gray levels
        return tf.io.decode_image(only_if((bits == 24) | (bits == 32)), channels=3, expand_animations=False)

    def webp():
        return tf.io.decode_image(data, channels=3, expand_animations=False)

    cases = [(tf.io.is_jpeg(data), jpeg), (starts(b"\x89PNG"), png), (starts(b"GIF8"), gif), (starts(b"BM"), bmp)]
    return tf.ensure_shape(tf.case(cases, default=webp), (None, None, 3))


def _over_white(image: "tf.Tensor") -> "tf.Tensor":
    """(H, W, 1 to 4) uint8, the last of 2 or 4 channels being alpha -> (H, W, 3) uint8."""
    import tensorflow as tf

    height, width, channels = tf.unstack(tf.shape(image))
    colors = image[..., : (channels - 1) // 2 * 2 + 1]

    def blend():
        alpha, wide = tf.cast(image[..., -1:], tf.int32), tf.cast(colors, tf.int32)
        return tf.cast((wide * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)

    return tf.broadcast_to(tf.cond(channels % 2 == 0, blend, lambda: colors), (height, width, 3))


def resize(images: "tf.Tensor", image_size: int) -> "tf.Tensor":
    """(H, W, 3) or (B, H, W, 3) -> side `image_size`, uint8: antialiased bilinear, aspect not kept, rounded."""
    import tensorflow as tf

    if tuple(images.shape[-3:-1]) == (image_size, image_size) and images.dtype == tf.uint8:
        return images
    scaled = tf.image.resize(images, (image_size, image_size), antialias=True)
    return tf.saturate_cast(tf.round(scaled), tf.uint8)


def load(data: "tf.Tensor", image_size: int) -> "tf.Tensor":
    """Encoded bytes, a string scalar -> (image_size, image_size, 3) uint8; raises as `decode`."""
    return resize(decode(data), image_size)


def try_load(data: "tf.Tensor", image_size: int) -> "tuple[tf.Tensor, tf.Tensor]":
    """As `load`, in a graph: -> (image, True), or zeros and False where the bytes cannot be decoded.

    A graph cannot catch an error, but a data set inside it can leave out the element that raised.
    """
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert
    def marked(data):
        return load(data, image_size), tf.constant(True)

    good = tf.data.Dataset.from_tensors(data).map(marked).ignore_errors()
    blank = tf.zeros((image_size, image_size, 3), tf.uint8)
    fallback = tf.data.Dataset.from_tensors((blank, tf.constant(False)))
    return good.concatenate(fallback).take(1).get_single_element()


def decode_bytes(data: bytes) -> np.ndarray:
    """Encoded bytes -> (H, W, 3) uint8, eagerly; BadImage, with the reason in one line, if they cannot be decoded."""
    import tensorflow as tf

    header = read_header(data)
    try:
        return decode(tf.constant(data)).numpy()
    except tf.errors.OpError as reason:  # {{function_node ...}} jpeg::Uncompress failed. Invalid ... [Op:DecodeJpeg]
        text = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", reason.message).strip().split("\n")[0]
        raise BadImage(f"the {header.format} data are damaged ({text})") from reason
