import corpus
import numpy as np
import pytest
import tensorflow as tf

from kvision.pixels import BadImage, bmp, graph, pillow

RANDOM = np.random.default_rng(0)
NAMES = [name for name in corpus.decoded() if "bmp" in name]
decode = tf.function(graph.decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def test_kinds_that_are_decoded():
    for known, files in ((True, corpus.decoded()), (False, corpus.refused())):
        for name, data in files.items():
            if data.startswith(b"BM") and not name.startswith(("half", "bmp of")):  # these are refused by their sizes
                assert bool(bmp.is_decoded(tf.constant(data))) == known, name


@pytest.mark.parametrize(("place", "value"), [(28, 16), (28, 4), (30, 1), (14, 12), (10, 20), (54, 1)])
def test_other_kinds_are_refused_by_both(place, value):
    """Bits per pixel, compression, size of the header, place of the pixels, a mask."""
    data = bytearray(corpus.decoded()["bmp with masks"])
    data[place] = value
    assert not bool(bmp.is_decoded(tf.constant(bytes(data))))
    with pytest.raises(BadImage):
        pillow.decode(bytes(data))


def test_palette_colors():
    indices = RANDOM.integers(0, 3, (5, 7, 1), dtype=np.uint8)
    colors = np.array([[1, 2, 3], [40, 50, 60], [255, 0, 7]], np.uint8)
    bgrx = b"".join(bytes([b, g, r, 0]) for r, g, b in colors)
    data = bytearray(corpus.bmp(indices, palette=bgrx))
    data[46:50] = (3).to_bytes(4, "little")
    for found in (pillow.decode(bytes(data)), graph.decode(tf.constant(bytes(data))).numpy()):
        np.testing.assert_array_equal(found, colors[indices[..., 0]])


def test_alpha_over_white():
    bgra = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    masks = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0\0\0\0\xff"
    data = corpus.bmp(bgra, head=108, compression=3, masks=masks)
    share = bgra[..., 3:] / 255
    for found in (pillow.decode(data), graph.decode(tf.constant(data)).numpy()):
        np.testing.assert_allclose(found, bgra[..., 2::-1] * share + 255 * (1 - share), atol=0.5 + 1e-9)


def test_damaged_bytes_are_judged_alike():
    random = np.random.default_rng(0)
    seeds = [corpus.decoded()[name] for name in NAMES]
    seen = {"refused": 0, "decoded": 0}
    for i in range(150):
        data = bytearray(seeds[i % len(seeds)])
        where = int(random.integers(2, 70))
        data[where] = random.choice([0, 1, 3, 8, 24, 32, 40, 255, random.integers(256)])
        data = bytes(data)
        try:
            expected = pillow.decode(data)
        except BadImage:
            with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):  # of its message
                decode(tf.constant(data))
            seen["refused"] += 1
        else:
            np.testing.assert_array_equal(decode(tf.constant(data)), expected)
            seen["decoded"] += 1
    assert min(seen.values()) > 20
