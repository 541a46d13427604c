import corpus
import numpy as np
import pytest
import tensorflow as tf

from kvision.pixels import BadImage, graph, header, pillow, png

ROWS = [bytes([value] * 5) for value in (9, 99, 200)]


def test_exif_before_the_pixels_in_both_halves():
    other, exif = corpus.png_chunk(b"tEXt", b"key\0text"), corpus.png_chunk(b"eXIf", b"abc")
    plain = corpus.png(5, 3, 8, 0, ROWS)
    for before, expected in ((b"", b""), (exif, b"abc"), (other * 3 + exif, b"abc"), (other, b"")):
        data = corpus.png(5, 3, 8, 0, ROWS, before)
        assert png.exif(tf.constant(data)).numpy() == pillow.exif(header.lazy_open(data)) == expected
        for cut in (50, 20, 8, 3, 0):
            assert png.exif(tf.constant(data[:cut])).numpy() in (b"", b"abc", b"abc"[: max(0, cut - 41)])
    behind = plain[:-12] + exif + plain[-12:]
    assert png.exif(tf.constant(behind)).numpy() == pillow.exif(header.lazy_open(behind)) == b""


@pytest.mark.parametrize("value", [3, 6, 8])
def test_orientation_turns_a_png(value):
    directory = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([value, 0, 0, 0]) + bytes(4)
    data = corpus.png(5, 3, 8, 0, ROWS, corpus.png_chunk(b"eXIf", directory))
    plain = pillow.decode(corpus.png(5, 3, 8, 0, ROWS))
    expected = np.rot90(plain, {3: 2, 6: 3, 8: 1}[value])
    np.testing.assert_array_equal(pillow.decode(data), expected)
    np.testing.assert_array_equal(graph.decode(tf.constant(data)), expected)


def test_every_chunk_is_checked_to_the_last():
    data = corpus.png(5, 3, 8, 0, ROWS)
    for cut in range(8, len(data)):
        with pytest.raises(BadImage):
            pillow.decode(data[:cut])
    for at in range(12, len(data)):
        with pytest.raises(BadImage):
            pillow.decode(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
