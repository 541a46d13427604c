"""Decodes and resizes images with TensorFlow: eagerly, in `tf.data` and inside an exported graph."""

import functools
from typing import TYPE_CHECKING

from kvision.pixels import bmp, gif, jpeg, orientation, png, webp
from kvision.pixels import graph_bytes as gb
from kvision.pixels.frame import Frame, on_canvas
from kvision.pixels.header import MAX_BYTES, MAX_PIXELS

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["decode", "fit", "load", "resize", "try_decode", "try_load"]


def decode(data: "tf.Tensor") -> "tf.Tensor":
    """Decodes a JPEG, PNG, GIF, BMP or WebP image as it is shown.

    The EXIF orientation is applied, and transparent pixels become white. The upper 8 bits of 16-bit values are kept,
    and the first frame of an animation. The color key of a PNG (transparency without an alpha channel or a palette) is
    ignored.

    Args:
        data: The bytes of an image file, a string scalar.

    Returns:
        The image `(height, width, 3)` uint8 in RGB.

    Raises:
        tf.errors.InvalidArgumentError: If the image cannot be decoded, or is larger than `MAX_BYTES` or `MAX_PIXELS`.
        The size is checked before decoding. Damage inside the compressed pixels of a GIF may not be noticed.
    """
    return _traced()(data)


@functools.cache
def _traced():
    """Returns `_decode` as a function that is traced once per process. Each graph that decodes calls it."""
    import tensorflow as tf

    return tf.function(_decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def _decode(data: "tf.Tensor") -> "tf.Tensor":
    """Builds the graph of `decode`."""
    import tensorflow as tf

    def only_if(condition, data):
        return tf.where(condition, data, b"")  # every decoder fails on empty bytes, so no Assert is needed

    def fits(height, width):
        count = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
        return tf.abs(count) <= MAX_PIXELS  # the height of a bitmap may be negative

    def jpeg_file():
        height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(data))
        # The default DCT differs from Pillow's by up to 5 levels. Only this operation accepts a different DCT.
        return tf.io.decode_jpeg(only_if(fits(height, width), data), channels=3, dct_method="INTEGER_ACCURATE")

    def png_file():
        width, height = gb.number(data, 16, 4, big=True), gb.number(data, 20, 4, big=True)
        # With channels=4, opaque pixels of files with less than 8 bits would become nearly transparent.
        return _over_white(tf.io.decode_png(only_if(fits(height, width), data), channels=0))

    def frame_file(frame: Frame, read):
        good = fits(*frame.canvas) & frame.fits
        image = on_canvas(read(only_if(good, frame.still), frame.alpha), frame)
        return image, frame.tiff

    def read_gif(still, _):
        return tf.io.decode_image(still, channels=3, expand_animations=False)

    def read_webp(still, alpha):
        # The operation needs the number of channels of the file.
        with_alpha = lambda: _over_white(tf.io.decode_webp(still, channels=4)[0])  # noqa: E731
        return tf.cond(alpha, with_alpha, lambda: tf.io.decode_webp(still, channels=3)[0])

    def webp_file():
        frame = webp.first_frame(only_if(gb.starts(data, b"RIFF") & gb.starts(data, b"WEBP", 8), data))
        return frame_file(frame, read_webp)

    def bmp_file():
        good = bmp.is_decoded(data) & fits(*bmp.sides(data))
        allowed = only_if(good, bmp.without_rest(data))

        def colors():
            with_alpha = lambda: _over_white(tf.io.decode_bmp(allowed, channels=4))  # noqa: E731
            plain = lambda: tf.io.decode_bmp(allowed)[..., :3]  # noqa: E731
            return tf.cond(bmp.has_alpha(allowed), with_alpha, plain)

        def indices():
            return tf.gather(bmp.palette(allowed), tf.cast(tf.io.decode_bmp(allowed)[..., 0], tf.int32))

        return tf.cond(gb.number(allowed, 28, 2) == 8, indices, colors)

    data = only_if(gb.size(data) <= MAX_BYTES, data)
    cases = [  # each returns the image and the EXIF data
        (tf.io.is_jpeg(data), lambda: (jpeg_file(), jpeg.exif(data))),
        (gb.starts(data, b"\x89PNG"), lambda: (png_file(), png.exif(data))),
        (gb.starts(data, b"GIF8"), lambda: frame_file(gif.first_frame(data), read_gif)),
        (gb.starts(data, b"BM"), lambda: (bmp_file(), tf.constant(b""))),
    ]
    image, tiff = tf.case(cases, default=webp_file)
    return tf.ensure_shape(orientation.turn_in_graph(image, orientation.read_in_graph(tiff)), (None, None, 3))


def _over_white(image: "tf.Tensor") -> "tf.Tensor":
    """Returns RGB (H, W, 3) uint8 from (H, W, 1 to 4) uint8. The last of 2 or 4 channels is alpha."""
    import tensorflow as tf

    height, width, channels = tf.unstack(tf.shape(image))
    colors = image[..., : (channels - 1) // 2 * 2 + 1]

    def blend():
        alpha, wide = tf.cast(image[..., -1:], tf.int32), tf.cast(colors, tf.int32)
        return tf.cast((wide * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)

    return tf.broadcast_to(tf.cond(channels % 2 == 0, blend, lambda: colors), (height, width, 3))


def resize(images: "tf.Tensor", image_size: int) -> "tf.Tensor":
    """Resizes images to a square, bilinearly and antialiased. The aspect ratio is not kept.

    Args:
        images: Images `(height, width, 3)` or `(batch, height, width, 3)` in [0, 255], of any type.
        image_size: Height and width of the result in pixels.

    Returns:
        The resized images, uint8.
    """
    import tensorflow as tf

    if tuple(images.shape[-3:-1]) == (image_size, image_size) and images.dtype == tf.uint8:
        return images
    scaled = tf.image.resize(images, (image_size, image_size), antialias=True)
    return tf.saturate_cast(tf.round(scaled), tf.uint8)


def fit(image: "tf.Tensor", longest_side: int | None) -> "tf.Tensor":
    """Makes an image smaller if a side is longer than `longest_side`, as `pillow.fit` does.

    Args:
        image: An image `(height, width, 3)` uint8.
        longest_side: The limit in pixels. If None, the image is returned unchanged.

    Returns:
        The image, uint8.
    """
    import tensorflow as tf

    if longest_side is None:
        return image
    size = tf.shape(image)[:2]
    scale = tf.cast(longest_side, tf.float64) / tf.cast(tf.reduce_max(size), tf.float64)
    small = tf.maximum(tf.cast(tf.round(tf.cast(size, tf.float64) * scale), tf.int32), 1)

    def smaller():
        return tf.saturate_cast(tf.round(tf.image.resize(image, small, antialias=True)), tf.uint8)

    return tf.ensure_shape(tf.cond(scale < 1, smaller, lambda: image), (None, None, 3))


def load(data: "tf.Tensor", image_size: int) -> "tf.Tensor":
    """Decodes and resizes an image: `resize(decode(data), image_size)`."""
    return resize(decode(data), image_size)


def try_decode(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
    """Decodes an image in a graph, and returns whether that was possible.

    Args:
        data: The bytes of an image file, a string scalar.

    Returns:
        The image `(height, width, 3)` uint8 and True, or one black pixel and False. The second value is a bool scalar.
    """
    import tensorflow as tf

    # A graph cannot catch an error, but a dataset inside it can skip an element that raised.
    one = tf.data.Dataset.from_tensors(data).map(decode).ignore_errors().map(lambda image: (image, tf.constant(True)))
    none = tf.data.Dataset.from_tensors((tf.zeros((1, 1, 3), tf.uint8), tf.constant(False)))
    image, valid = one.concatenate(none).take(1).get_single_element()
    return image, valid


def try_load(rows: "tf.Tensor", image_size: int) -> "tuple[tf.Tensor, tf.Tensor]":
    """Decodes and resizes many images in a graph, and returns which of them could be decoded.

    Args:
        rows: The bytes of n image files, `(n,)` strings. n may be 0.
        image_size: Height and width of the result in pixels.

    Returns:
        Images `(n, image_size, image_size, 3)` uint8, and `(n,)` bool: whether each image could be decoded. The pixels
        of an image that cannot be decoded are 0.
    """
    import tensorflow as tf

    count, side = tf.size(rows, tf.int64), image_size

    @tf.autograph.experimental.do_not_convert
    def one(index, row):
        return index, load(row, side)

    # See `try_decode`.
    data = tf.data.Dataset.from_tensor_slices(rows).enumerate().map(one, tf.data.AUTOTUNE, deterministic=False)
    last = tf.data.Dataset.from_tensors(
        (count, tf.zeros((side, side, 3), tf.uint8))
    )  # so that the dataset is not empty
    places, images = data.ignore_errors().concatenate(last).batch(count + 1).get_single_element()
    shape = tf.stack([count + 1, side, side, 3])
    valid = tf.scatter_nd(places[:, None], tf.ones_like(places), count[None] + 1)
    return tf.scatter_nd(places[:, None], images, shape)[:count], valid[:count] > 0
