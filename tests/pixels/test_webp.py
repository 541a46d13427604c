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
in_graph = tf.function(webp.first_frame_in_graph, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


@pytest.mark.parametrize("name", [name for name in corpus.decoded() if "webp" in name])
def test_the_graph_cuts_the_same_bytes_out(name):
    data = corpus.decoded()[name]
    expected, found = webp.first_frame(data), in_graph(tf.constant(data))
    assert found.still.numpy() == expected.still
    assert bool(found.alpha) == expected.alpha == ("alpha" in name or name == "animated lossless webp")
    assert [int(side) for side in found.canvas] == list(expected.canvas)
    assert [int(side) for side in found.box] == list(expected.box)
    assert found.tiff.numpy().rstrip(b"\0") == expected.tiff.rstrip(b"\0")


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


def test_a_frame_within_its_canvas():
    data = corpus.encode(
        Image.fromarray(NOISE[..., :3]),
        "WEBP",
        lossless=True,
        save_all=True,
        append_images=[Image.fromarray(NOISE[::-1, :, :3])],
    )
    at = data.index(b"ANMF")
    moved = bytearray(data)
    moved[24:30] = (80).to_bytes(3, "little") + (60).to_bytes(3, "little")
    moved[at + 8 : at + 14] = (5).to_bytes(3, "little") + (8).to_bytes(3, "little")
    for found in (pillow.decode(bytes(moved)), graph.decode(tf.constant(bytes(moved))).numpy()):
        assert found.shape == (61, 81, 3)
        np.testing.assert_array_equal(found[16:53, 10:63], NOISE[..., :3])
        assert (found == 255).all(axis=2).sum() >= 61 * 81 - 37 * 53


def test_damaged_bytes_are_judged_alike():
    names = ("webp", "lossless webp", "webp with alpha", "animated webp with alpha", "webp on its side")
    seeds = [corpus.decoded()[name] for name in names]
    seen = {"refused": 0, "decoded": 0}
    for i in range(200):
        data = bytearray(seeds[i % len(seeds)])
        where = int(RANDOM.integers(60)) if i % 2 else int(RANDOM.integers(len(data)))
        data[where] ^= 1 << int(RANDOM.integers(8))
        data = bytes(data[: RANDOM.integers(len(data) // 2, len(data) + 1)] if i % 5 == 0 else data)
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
