import io

import corpus
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kvision.pixels import BadImage, gif, graph, pillow

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (37, 53, 3), dtype=np.uint8)
INDEXED = Image.fromarray(NOISE).quantize(64)
STRING = [tf.TensorSpec((), tf.string)]
in_graph = tf.function(gif.first_frame, input_signature=STRING, autograph=False)
decode = tf.function(graph.decode, input_signature=STRING, autograph=False)


@pytest.mark.parametrize("name", [name for name in corpus.decoded() if "gif" in name])
def test_the_first_frame_is_cut_out(name):
    """Into a GIF of that picture alone, as another reader of the format sees it."""
    data = corpus.decoded()[name]
    frame, whole = in_graph(tf.constant(data)), Image.open(io.BytesIO(data))
    still = Image.open(io.BytesIO(frame.still.numpy()))
    top, left, height, width = map(int, frame.box)
    assert whole.tile[0].extents == (left, top, left + width, top + height)
    assert (still.n_frames, still.size) == (1, (width, height))
    assert tuple(map(int, frame.canvas)) == whole.size[::-1]
    box = (left, top, left + width, top + height)
    np.testing.assert_array_equal(np.asarray(still), np.asarray(whole.crop(box)))


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
    random = np.random.default_rng(0)
    names = ("gif", "transparent gif", "interlaced gif", "animated gif")
    seen = {"refused": 0, "decoded": 0}
    for i in range(120):
        data = bytearray(corpus.decoded()[names[i % len(names)]])
        # not within the pixels: there each reader passes over some of the damage
        where = int(random.integers(13)) if i % 2 else int(random.integers(13 + 3 * 64, 13 + 3 * 64 + 20))
        data[where] = random.choice([0, 1, 0x21, 0x2C, 0x3B, 0x80, 0xF9, 255, random.integers(256)])
        data = bytes(data[: random.integers(len(data) // 2, len(data) + 1)] if i % 5 == 0 else data)
        try:
            expected = pillow.decode(data)
        except BadImage:
            seen["refused"] += 1
        else:
            np.testing.assert_array_equal(decode(tf.constant(data)), expected)
            seen["decoded"] += 1
    assert min(seen.values()) > 20


@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_a_frame_that_is_cut_off_is_refused_by_both(cut):
    data = corpus.decoded()["gif"][:-cut]
    with pytest.raises(BadImage, match="truncated"):
        pillow.decode(data)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(data))
