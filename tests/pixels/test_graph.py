import sys

import corpus
import forks
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kvision.pixels import BadImage, graph, pillow

# as one graph: its loops are 50 times slower one operation at a time
decode = tf.function(graph.decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def test_decodes_as_pillow(encoded):
    for name, data in encoded.items():
        ours, other = decode(tf.constant(data)).numpy(), pillow.decode(data)
        assert ours.dtype == other.dtype == np.uint8, name
        np.testing.assert_array_equal(ours, other, err_msg=name)


@pytest.mark.parametrize("size", [1, 16, 37, 53, 120])
def test_loads_as_pillow_to_one_level(encoded, size):
    for name, data in encoded.items():
        ours, other = graph.load(tf.constant(data), size).numpy(), pillow.load(data, size)
        assert ours.shape == other.shape == (size, size, 3), name
        assert np.abs(ours.astype(int) - other).max() <= 1, name


def test_photographs_load_as_pillow_to_one_level(shared):
    for path in sorted((shared / "data/bccd/JPEGImages").glob("*.jpg"))[:3]:
        data = path.read_bytes()
        difference = graph.load(tf.constant(data), 224).numpy().astype(int) - pillow.load(data, 224)
        assert np.abs(difference).max() <= 1
        assert np.abs(difference).mean() < 0.2


def test_refuses_what_pillow_refuses(refused):
    for data in refused.values():
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.constant(data))


def test_flipped_bits_are_judged_alike(encoded):
    random = np.random.default_rng(0)
    for name in ("jpeg", "rgb png", "transparent palette png"):
        for _ in range(60):
            data = bytearray(encoded[name])
            data[random.integers(len(data))] ^= 1 << random.integers(8)
            try:
                expected = pillow.decode(bytes(data))
            except BadImage:
                with pytest.raises(tf.errors.InvalidArgumentError):
                    decode(tf.constant(bytes(data)))
            else:
                np.testing.assert_array_equal(decode(tf.constant(bytes(data))), expected)


def _triangle(length: int, size: int) -> np.ndarray:
    """(size, length): each row the antialiased bilinear weights of one output pixel, written out slowly."""
    weights, scale = np.zeros((size, length)), length / size
    for i in range(size):
        for j in range(length):
            weights[i, j] = max(0.0, 1 - abs((j + 0.5) - (i + 0.5) * scale) / max(scale, 1))
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("height", "width", "size"), [(40, 31, 16), (9, 17, 30), (20, 20, 20)])
def test_resize_is_two_triangle_filters(height, width, size):
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    found = graph.resize(tf.constant(images), size)
    assert found.dtype == tf.uint8
    expected = np.einsum("ih,jw,bhwc->bijc", _triangle(height, size), _triangle(width, size), images)
    np.testing.assert_allclose(found, expected, atol=0.501)
    np.testing.assert_array_equal(graph.resize(tf.constant(images[0]), size), found[0])


def test_one_bad_row_in_a_saved_model(encoded, tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def serve(data):
        return graph.try_load(data, 24)

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    good = [encoded["jpeg"], encoded["rgba png"]]
    images, valid = loaded.serve(tf.constant([good[0], good[0][:200], b"", b"text", good[1]]))
    assert valid.numpy().tolist() == [True, False, False, False, True]
    np.testing.assert_array_equal(images[0], graph.load(tf.constant(good[0]), 24))
    np.testing.assert_array_equal(images[4], graph.load(tf.constant(good[1]), 24))
    assert not images.numpy()[1:4].any()
    images, valid = loaded.serve(tf.constant([], tf.string))
    assert images.shape == (0, 24, 24, 3)


def test_bombs_take_no_memory_in_the_graph(tmp_path):
    """A PNG that declares 14,000 x 14,000, and a GIF of 400 frames of 2,000 x 2,000 that unpack to 1.6 GB."""
    blank = Image.new("P", (2000, 2000))
    blank.putpalette([7, 8, 9] * 2)
    gif = corpus.encode(blank, "GIF")
    frames = gif[:-1] + gif[13 + 3 * (2 << (gif[10] & 7)) : -1] * 399
    files = {
        "a.jpg": corpus.decoded()["jpeg"],
        "b.png": corpus.png(14_000, 14_000, 8, 2, [b"\0" * 42_000] * 14_000),
        "c.gif": frames + b";",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import pathlib, resource, sys, tensorflow as tf; from kvision.pixels import graph\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "load = tf.function(lambda rows: graph.try_load(rows, 32), autograph=False)\n"
        "jpeg, png, gif = (path.read_bytes() for path in sorted(pathlib.Path(sys.argv[1]).iterdir()))\n"
        "load(tf.constant([jpeg, jpeg, jpeg])); before = peak()\n"
        "print(load(tf.constant([png, gif, jpeg]))[1].numpy().tolist(), peak() - before)"
    )
    result = forks.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    valid, growth = result.stdout.rsplit(" ", 1)
    assert valid == "[False, True, True]", result.stderr
    assert int(growth) < 200
