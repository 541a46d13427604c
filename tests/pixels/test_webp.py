import io

import corpus
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kvision.pixels import BadImage, graph, pillow, webp

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (37, 53, 4), dtype=np.uint8)
decode = tf.function(graph.decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
in_graph = tf.function(webp.first_frame, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


@pytest.mark.parametrize("name", [name for name in corpus.decoded() if "webp" in name])
def test_the_first_frame_is_cut_out(name):
    """Into a WebP of that picture alone, as another reader of the format sees it."""
    data = corpus.decoded()[name]
    frame, whole = in_graph(tf.constant(data)), Image.open(io.BytesIO(data))
    still = Image.open(io.BytesIO(frame.still.numpy()))
    assert bool(frame.alpha) == (still.mode == "RGBA") == ("alpha" in name or name == "animated lossless webp")
    assert (still.n_frames, still.size, tuple(map(int, frame.canvas))) == (1, whole.size, whole.size[::-1])
    assert tuple(map(int, frame.box)) == (0, 0, *whole.size[::-1])
    assert frame.tiff.numpy().rstrip(b"\0") == pillow.exif(whole).rstrip(b"\0")
    np.testing.assert_array_equal(np.asarray(still.convert("RGBA")), np.asarray(whole.convert("RGBA")))


@pytest.mark.parametrize("lossless", [True, False])
def test_alpha_over_white_as_pillow_composes_it(lossless):
    veiled = Image.fromarray(np.kron(NOISE[:9, :13], np.ones((8, 8, 1), np.uint8)))
    data = corpus.encode(veiled, "WEBP", lossless=lossless)
    rgba = Image.open(io.BytesIO(data)).convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    for found in (pillow.decode(data), graph.decode(tf.constant(data)).numpy()):
        assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


def test_first_frame_of_an_animation():
    frames = [Image.fromarray(RANDOM.integers(0, 256, (37, 53, 3), dtype=np.uint8)) for _ in range(3)]
    data = corpus.encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    for found in (pillow.decode(data), graph.decode(tf.constant(data)).numpy()):
        np.testing.assert_array_equal(found, frames[0])


@pytest.mark.parametrize("alpha", [False, True])
def test_a_frame_within_its_canvas(alpha):
    """Around it is white, or black in a file without an alpha channel: there libwebp has nothing else."""
    pictures = [Image.fromarray(NOISE[..., :3]), Image.fromarray(NOISE[::-1, :, :3])]
    data = corpus.encode(pictures[0], "WEBP", lossless=True, save_all=True, append_images=pictures[1:])
    at = data.index(b"ANMF")
    moved = bytearray(data)
    moved[20] = 0x12 if alpha else 0x02  # an animation, with an alpha channel
    moved[24:30] = (80).to_bytes(3, "little") + (60).to_bytes(3, "little")
    moved[at + 8 : at + 14] = (5).to_bytes(3, "little") + (8).to_bytes(3, "little")
    for found in (pillow.decode(bytes(moved)), graph.decode(tf.constant(bytes(moved))).numpy()):
        assert found.shape == (61, 81, 3)
        np.testing.assert_array_equal(found[16:53, 10:63], NOISE[..., :3])
        assert (found == 255 * alpha).all(axis=2).sum() >= 61 * 81 - 37 * 53


def test_a_still_of_another_size_than_its_canvas_is_refused_by_both():
    data = bytearray(corpus.decoded()["webp on its side"])
    data[24] += 8
    with pytest.raises(BadImage):
        pillow.decode(bytes(data))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(bytes(data)))


def test_damaged_bytes_are_judged_alike():
    random = np.random.default_rng(0)
    names = ("webp", "lossless webp", "webp with alpha", "animated webp with alpha", "webp on its side")
    seeds = [corpus.decoded()[name] for name in names]
    seen = {"refused": 0, "decoded": 0, "decoded by Pillow alone": 0}
    for i in range(200):
        data = bytearray(seeds[i % len(seeds)])
        where = int(random.integers(60)) if i % 2 else int(random.integers(len(data)))
        data[where] ^= 1 << int(random.integers(8))
        data = bytes(data[: random.integers(len(data) // 2, len(data) + 1)] if i % 5 == 0 else data)
        try:
            expected = pillow.decode(data)
        except BadImage:
            seen["refused"] += 1
        else:
            try:
                np.testing.assert_array_equal(decode(tf.constant(data)), expected)
                seen["decoded"] += 1
            except tf.errors.InvalidArgumentError:
                seen["decoded by Pillow alone"] += 1  # libwebp skips a frame whose chunk has lost its name
    assert min(seen["refused"], seen["decoded"]) > 20 and seen["decoded by Pillow alone"] <= 2
