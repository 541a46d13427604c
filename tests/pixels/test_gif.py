import contextlib

import corpus
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kvision.pixels import gif, graph, pillow

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (37, 53, 3), dtype=np.uint8)
INDEXED = Image.fromarray(NOISE).quantize(64)
in_graph = tf.function(gif.first_frame_in_graph, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


@pytest.mark.parametrize("name", [name for name in corpus.decoded() if "gif" in name])
def test_the_graph_cuts_the_same_bytes_out(name):
    data = corpus.decoded()[name]
    expected, found = gif.first_frame(data), in_graph(tf.constant(data))
    assert found.still.numpy() == expected.still
    assert [int(side) for side in found.canvas] == list(expected.canvas)
    assert [int(side) for side in found.box] == list(expected.box)


def test_transparent_pixels_and_what_is_not_covered_are_white():
    data = corpus.gif_frame(corpus.encode(INDEXED, "GIF", transparency=3), (70, 60), 5, 11)
    expected = np.full((60, 70, 3), 255, np.uint8)
    picture = np.asarray(INDEXED.convert("RGB")).copy()
    hidden = np.asarray(INDEXED) == 3
    assert hidden.any()
    picture[hidden] = 255
    expected[11:48, 5:58] = picture
    np.testing.assert_array_equal(pillow.decode(data), expected)
    np.testing.assert_array_equal(graph.decode(tf.constant(data)), expected)


def test_only_the_first_of_many_frames_is_unpacked():
    """400 frames of 2,000 x 2,000: TensorFlow's own reader would hold 1.6 GB of them, and refuses damage in any."""
    blank = Image.new("P", (2000, 2000))
    blank.putpalette([7, 8, 9] * 2)
    data = corpus.encode(blank, "GIF")
    table = 13 + 3 * (2 << (data[10] & 7))
    many = data[:-1] + data[table:-1] * 399
    frame = in_graph(tf.constant(many))
    assert len(frame.still.numpy()) <= len(data) + 3 * 256
    assert graph.decode(tf.constant(many + b"damage")).shape == (2000, 2000, 3)
    assert tuple(pillow.decode(many)[0, 0]) == (7, 8, 9)


def test_damaged_bytes_are_judged_alike():
    seeds = [corpus.decoded()[name] for name in ("gif", "transparent gif", "interlaced gif", "animated gif")]
    seen = {"refused": 0, "cut": 0}
    for i in range(400):
        data = bytearray(seeds[i % len(seeds)])
        # not within the pixels: there each half passes over some of the damage
        where = int(RANDOM.integers(13)) if i % 2 else int(RANDOM.integers(13 + 3 * 64, 13 + 3 * 64 + 20))
        data[where] = RANDOM.choice([0, 1, 0x21, 0x2C, 0x3B, 0x80, 0xF9, 255, RANDOM.integers(256)])
        data = bytes(data[: RANDOM.integers(len(data) // 2, len(data) + 1)] if i % 5 == 0 else data)
        try:
            expected = gif.first_frame(data)
        except (IndexError, ValueError):
            with contextlib.suppress(tf.errors.InvalidArgumentError, UnicodeDecodeError):
                assert in_graph(tf.constant(data)).still.numpy() == b""
            seen["refused"] += 1
        else:
            found = in_graph(tf.constant(data))
            assert found.still.numpy() == expected.still
            assert [int(side) for side in (*found.canvas, *found.box)] == [*expected.canvas, *expected.box]
            seen["cut"] += 1
    assert min(seen.values()) > 40
