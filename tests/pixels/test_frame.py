import numpy as np
import tensorflow as tf

from kvision.pixels import frame


def placed(box: tuple[int, int, int, int]) -> frame.Frame:
    canvas, box = (tuple(tf.unstack(tf.constant(sides, tf.int64))) for sides in ((10, 8), box))
    white = tf.constant(255, tf.uint8)
    return frame.Frame(tf.constant(b""), tf.constant(False), canvas, box, around=white, tiff=tf.constant(b""))


def test_the_rest_of_the_canvas_is_white():
    image = np.random.default_rng(0).integers(0, 200, (3, 4, 3), dtype=np.uint8)
    shown = frame.on_canvas(tf.constant(image), placed((5, 2, 3, 4))).numpy()
    np.testing.assert_array_equal(shown[5:8, 2:6], image)
    assert (shown == 255).sum() == 3 * (80 - 12)


def test_fits():
    for box, fits in [((0, 0, 10, 8), True), ((5, 2, 5, 6), True), ((5, 2, 6, 6), False), ((5, 3, 5, 6), False)]:
        assert bool(placed(box).fits) is fits
