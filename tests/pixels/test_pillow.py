import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kvision.pixels import BadImage, graph, pillow


def test_rgb_png_is_exact(encode):
    image = np.random.default_rng(0).integers(0, 256, (11, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pillow.decode(encode(Image.fromarray(image), "PNG")), image)


def test_alpha_over_white(encode):
    image = np.random.default_rng(0).integers(0, 256, (11, 7, 4), dtype=np.uint8)
    image[0, 0], image[0, 1] = (9, 9, 9, 0), (9, 9, 9, 255)
    found = pillow.decode(encode(Image.fromarray(image), "PNG"))
    share = image[..., 3:] / 255
    np.testing.assert_allclose(found, image[..., :3] * share + 255 * (1 - share), atol=0.5 + 1e-9)
    assert found[0, 0].tolist() == [255] * 3
    assert found[0, 1].tolist() == [9] * 3


def test_sixteen_bits_keep_the_upper_eight(encode):
    image = np.random.default_rng(0).integers(0, 65536, (11, 7), dtype=np.uint16)
    found = pillow.decode(encode(Image.fromarray(image), "PNG"))
    np.testing.assert_array_equal(found, np.repeat((image // 256)[..., None], 3, axis=2))


def test_refuses_every_bad_file(refused):
    for name, data in refused.items():
        with pytest.raises(BadImage) as caught:
            pillow.decode(data)
        assert str(caught.value).strip(), name


@pytest.mark.parametrize("name", ["jpeg", "rgb png", "webp", "gif"])
def test_refuses_every_truncation(encoded, name):
    data = encoded[name]
    for size in [*range(len(data) // 50, len(data) - 60, len(data) // 50), *range(len(data) - 12, len(data) - 2)]:
        if name == "gif" and size > len(data) - 60:
            continue  # both halves are content with all rows of a GIF
        with pytest.raises(BadImage):
            pillow.decode(data[:size])


def test_resize_keeps_a_constant_and_the_size():
    image = np.full((40, 31, 3), (7, 130, 255), np.uint8)
    for size in (1, 16, 31, 77):
        found = pillow.resize(image, size)
        assert found.shape == (size, size, 3)
        assert (found == (7, 130, 255)).all()


def test_imports_no_tensorflow(encoded, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded["jpeg"])
    code = (
        "import sys, pathlib; from kvision.pixels import pillow\n"
        "assert pillow.load(pathlib.Path(sys.argv[1]).read_bytes(), 32).shape == (32, 32, 3)\n"
        "assert not {'tensorflow', 'keras'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.jpg")], check=True)


def test_fit_is_the_graphs_to_one_level():
    random = np.random.default_rng(0)
    for size, side in (((40, 61), 50), ((200, 33), 64), ((50, 50), 50), ((31, 40), 100)):
        image = random.integers(0, 256, (*size, 3)).astype("uint8")
        ours, theirs = pillow.fit(image, side), graph.fit(tf.constant(image), side).numpy()
        assert ours.shape == theirs.shape == (*pillow.fitted(size, side), 3) and max(ours.shape) <= side
        assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert pillow.fit(image, None) is image


def test_the_largest_of_enlarged_scores_is_that_of_all_of_them_at_once():
    scores = np.random.default_rng(0).normal(size=(7, 9, 5)).astype("float32")
    for size in ((7, 9), (20, 31), (14, 9)):
        whole = tf.image.resize(scores, size).numpy()
        second = np.sort(whole, axis=2)[..., -2:]
        sure = second[..., 1] - second[..., 0] > 1e-4
        np.testing.assert_array_equal(pillow.largest(scores, size)[sure], whole.argmax(2)[sure])
        assert sure.mean() > 0.99


def test_planes_of_floats_are_resized_each_by_itself():
    random = np.random.default_rng(0)
    planes = random.uniform(-500, 500, (2, 8, 12, 5)).astype("float32")
    np.testing.assert_array_equal(pillow.resize_planes(planes, (8, 12)), planes)
    half = pillow.resize_planes(np.kron(planes, np.ones((1, 2, 2, 1))), (8, 12))
    inner = np.abs(half - planes)[:, 1:-1, 1:-1]
    assert half.shape == planes.shape and inner.mean() < 0.5 * np.abs(half[:, ::-1] - planes).mean()
    constant = np.broadcast_to(np.array([3.0, -7.0], "float32"), (1, 9, 9, 2))
    np.testing.assert_allclose(pillow.resize_planes(constant, (4, 30)), np.broadcast_to([3, -7], (1, 4, 30, 2)))
