import corpus
import numpy as np
import pytest
import tensorflow as tf

from kvision.pixels import graph, pillow, png

ROWS = [bytes([value] * 5) for value in (9, 99, 200)]


def test_exif_before_the_pixels_in_both_halves():
    other, exif = corpus.png_chunk(b"tEXt", b"key\0text"), corpus.png_chunk(b"eXIf", b"abc")
    plain = corpus.png(5, 3, 8, 0, ROWS)
    for before, expected in ((b"", b""), (exif, b"abc"), (other * 3 + exif, b"abc"), (other, b"")):
        data = corpus.png(5, 3, 8, 0, ROWS, before)
        for cut in (len(data), 50, 20, 8, 3, 0):
            found = png.exif(data[:cut])
            assert png.exif_in_graph(tf.constant(data[:cut])).numpy() == found
            assert cut != len(data) or found == expected
    behind = plain[:-12] + exif + plain[-12:]
    assert png.exif(behind) == png.exif_in_graph(tf.constant(behind)).numpy() == b""


@pytest.mark.parametrize("value", [3, 6, 8])
def test_orientation_turns_a_png(value):
    directory = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([value, 0, 0, 0]) + bytes(4)
    data = corpus.png(5, 3, 8, 0, ROWS, corpus.png_chunk(b"eXIf", directory))
    plain = pillow.decode(corpus.png(5, 3, 8, 0, ROWS))
    expected = np.rot90(plain, {3: 2, 6: 3, 8: 1}[value])
    np.testing.assert_array_equal(pillow.decode(data), expected)
    np.testing.assert_array_equal(graph.decode(tf.constant(data)), expected)


def test_chunks_are_checked_to_the_last():
    data = corpus.png(5, 3, 8, 0, ROWS)
    png.check_chunks(data)
    for cut in range(8, len(data)):
        with pytest.raises(ValueError, match="truncated"):
            png.check_chunks(data[:cut])
    for at in range(12, len(data)):
        with pytest.raises(ValueError, match=r"truncated|checksum"):
            png.check_chunks(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
