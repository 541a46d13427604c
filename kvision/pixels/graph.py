"""The TensorFlow half: works eagerly, in `tf.data` and inside an exported graph."""

import functools
from typing import TYPE_CHECKING

from kvision.pixels import bmp, gif, jpeg, orientation, png, webp
from kvision.pixels import graph_bytes as gb
from kvision.pixels.frame import Frame, on_canvas_in_graph
from kvision.pixels.header import MAX_BYTES, MAX_PIXELS

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["decode", "fit", "load", "resize", "try_decode", "try_load"]


def decode(data: "tf.Tensor") -> "tf.Tensor":
    """Encoded bytes, a string scalar -> (H, W, 3) uint8 RGB as shown: EXIF orientation applied, alpha over white, 16
    bits cut to the upper 8, of an animation its first frame.

    Refused over `MAX_BYTES` and `MAX_PIXELS`, before decoding. A color key, the transparency of a PNG without alpha
    channel or palette, is passed over; damage within a GIF's compressed pixels may be. tf.errors.InvalidArgumentError
    if it cannot be decoded.
    """
    return _traced()(data)


@functools.cache
def _traced():
    """`_decode` as a function that is traced once in a process: each graph that decodes calls it."""
    import tensorflow as tf

    return tf.function(_decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def _decode(data: "tf.Tensor") -> "tf.Tensor":
    """The graph of `decode`."""
    import tensorflow as tf

    def only_if(condition, data):
        return tf.where(condition, data, b"")  # every decoder fails on no bytes: a refusal without an Assert

    def fits(height, width):
        return (
            tf.abs(tf.cast(height, tf.int64) * tf.cast(width, tf.int64)) <= MAX_PIXELS
        )  # a bitmap may stand on its head

    def jpeg_file():
        height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(data))
        # the default DCT is up to 5 levels off Pillow's; only this operation can be told
        return tf.io.decode_jpeg(only_if(fits(height, width), data), channels=3, dct_method="INTEGER_ACCURATE")

    def png_file():
        width, height = gb.number(data, 16, 4, big=True), gb.number(data, 20, 4, big=True)
        # channels=4 would make the opaque pixels of files with less than 8 bits nearly transparent
        return _over_white(tf.io.decode_png(only_if(fits(height, width), data), channels=0))

    def frame_file(frame: Frame, read):
        good = fits(*frame.canvas) & frame.fits
        image = on_canvas_in_graph(read(only_if(good, frame.still), frame.alpha), frame)
        return image, tf.convert_to_tensor(frame.tiff)

    def read_gif(still, _):
        return tf.io.decode_image(still, channels=3, expand_animations=False)

    def read_webp(still, alpha):
        # it must be told the number of channels that there are
        with_alpha = lambda: _over_white(tf.io.decode_webp(still, channels=4)[0])  # noqa: E731
        return tf.cond(alpha, with_alpha, lambda: tf.io.decode_webp(still, channels=3)[0])

    def webp_file():
        frame = webp.first_frame_in_graph(only_if(gb.starts(data, b"RIFF") & gb.starts(data, b"WEBP", 8), data))
        return frame_file(frame, read_webp)

    def bmp_file():
        good = bmp.is_decoded_in_graph(data) & fits(*bmp.sides_in_graph(data))
        allowed = only_if(good, bmp.without_rest_in_graph(data))

        def colors():
            with_alpha = lambda: _over_white(tf.io.decode_bmp(allowed, channels=4))  # noqa: E731
            plain = lambda: tf.io.decode_bmp(allowed)[..., :3]  # noqa: E731
            return tf.cond(bmp.has_alpha_in_graph(allowed), with_alpha, plain)

        def indices():
            return tf.gather(bmp.palette_in_graph(allowed), tf.cast(tf.io.decode_bmp(allowed)[..., 0], tf.int32))

        return tf.cond(gb.number(allowed, 28, 2) == 8, indices, colors)

    data = only_if(gb.size(data) <= MAX_BYTES, data)
    cases = [  # -> image, EXIF data
        (tf.io.is_jpeg(data), lambda: (jpeg_file(), jpeg.exif_in_graph(data))),
        (gb.starts(data, b"\x89PNG"), lambda: (png_file(), png.exif_in_graph(data))),
        (gb.starts(data, b"GIF8"), lambda: frame_file(gif.first_frame_in_graph(data), read_gif)),
        (gb.starts(data, b"BM"), lambda: (bmp_file(), tf.constant(b""))),
    ]
    image, tiff = tf.case(cases, default=webp_file)
    return tf.ensure_shape(orientation.turn_in_graph(image, orientation.read_in_graph(tiff)), (None, None, 3))


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


def fit(image: "tf.Tensor", longest_side: int | None) -> "tf.Tensor":
    """(H, W, 3) uint8 -> the same, or with `longest_side` as its longer side, as `pillow.fit`."""
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
    """Encoded bytes, a string scalar -> (image_size, image_size, 3) uint8; raises as `decode`."""
    return resize(decode(data), image_size)


def try_decode(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
    """As `decode`, in a graph: -> image (H, W, 3), valid: bool scalar; one black pixel and False where it cannot be."""
    import tensorflow as tf

    # see `try_load`
    one = tf.data.Dataset.from_tensors(data).map(decode).ignore_errors().map(lambda image: (image, tf.constant(True)))
    none = tf.data.Dataset.from_tensors((tf.zeros((1, 1, 3), tf.uint8), tf.constant(False)))
    image, valid = one.concatenate(none).take(1).get_single_element()
    return image, valid


def try_load(rows: "tf.Tensor", image_size: int) -> "tuple[tf.Tensor, tf.Tensor]":
    """As `load` for many rows, in a graph: -> images (N, S, S, 3), valid (N,) bool.

    rows: (N,) encoded bytes. A row that cannot be decoded is zeros and False; the others
    are what they are without it. N may be 0.
    """
    import tensorflow as tf

    count, side = tf.size(rows, tf.int64), image_size

    @tf.autograph.experimental.do_not_convert
    def one(index, row):
        return index, load(row, side)

    # A graph cannot catch an error, but a data set inside it can leave out the elements that raised
    data = tf.data.Dataset.from_tensor_slices(rows).enumerate().map(one, tf.data.AUTOTUNE, deterministic=False)
    last = tf.data.Dataset.from_tensors((count, tf.zeros((side, side, 3), tf.uint8)))  # so that there is one
    places, images = data.ignore_errors().concatenate(last).batch(count + 1).get_single_element()
    shape = tf.stack([count + 1, side, side, 3])
    valid = tf.scatter_nd(places[:, None], tf.ones_like(places), count[None] + 1)
    return tf.scatter_nd(places[:, None], images, shape)[:count], valid[:count] > 0
