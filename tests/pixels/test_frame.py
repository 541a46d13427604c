import numpy as np
import tensorflow as tf

from kvision.pixels import frame


def test_the_rest_of_the_canvas_is_white():
    image = np.random.default_rng(0).integers(0, 200, (3, 4, 3), dtype=np.uint8)
    place = frame.Frame(still=b"", alpha=False, canvas=(10, 8), box=(5, 2, 3, 4))
    shown = frame.on_canvas(image, place)
    np.testing.assert_array_equal(shown[5:8, 2:6], image)
    assert (shown == 255).sum() == 3 * (80 - 12)
    np.testing.assert_array_equal(frame.on_canvas_in_graph(tf.constant(image), place), shown)


def test_fits():
    for box, fits in [((0, 0, 10, 8), True), ((5, 2, 5, 6), True), ((5, 2, 6, 6), False), ((5, 3, 5, 6), False)]:
        place = frame.Frame(still=b"", alpha=False, canvas=(10, 8), box=box)
        assert place.fits is fits
        tensors = place._replace(canvas=tf.unstack(tf.constant((10, 8))), box=tf.unstack(tf.constant(box)))
        assert bool(tensors.fits) is fits
