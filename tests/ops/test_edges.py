import itertools

import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.metrics import boundary_f1
from kvision.ops import diffuse, edge_targets

PLACES = {
    4: [(0, 1), (0, -1), (1, 0), (-1, 0)],
    8: [place for place in itertools.product((-1, 0, 1), repeat=2) if place != (0, 0)],
}


def maps(seed: int = 0, ignored: float = 0.1, size=(9, 13)) -> np.ndarray:
    """Blocks of labels with ignored pixels, single ones and a rim."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, (3, 3, 5)).repeat(3, axis=1).repeat(3, axis=2)[:, : size[0], : size[1]]
    labels = np.where(random.random(labels.shape) < ignored, 255, labels)
    labels[1, 4:6] = 255
    return labels


def slow(labels: np.ndarray, neighbors: int, thickness: int) -> np.ndarray:
    """A pixel, its neighbors, and theirs, in plain loops."""
    height, width = labels.shape

    def around(y: int, x: int):
        for down, right in PLACES[neighbors]:
            if 0 <= y + down < height and 0 <= x + right < width:
                yield y + down, x + right

    pixels = [(y, x) for y in range(height) for x in range(width)]
    edges = {
        (y, x)
        for y, x in pixels
        if labels[y, x] != 255 and any(labels[p] not in (255, labels[y, x]) for p in around(y, x))
    }
    near = {p for p in pixels if labels[p] == 255}
    for _ in range(thickness - 1):
        edges |= {p for q in edges for p in around(*q) if labels[p] != 255}
    for _ in range(thickness):
        near |= {p for q in near for p in around(*q)}
    found = np.zeros(labels.shape, int)
    for pixel in pixels:
        found[pixel] = 1 if pixel in edges else 255 if pixel in near else 0
    return found


@pytest.mark.parametrize("neighbors", [4, 8])
@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_edges_equal_a_loop_over_pixels(neighbors, thickness):
    for ignored in (0.0, 0.1):
        labels = maps(thickness, ignored)
        found = np.asarray(edge_targets(labels, neighbors=neighbors, thickness=thickness))
        np.testing.assert_array_equal(found, [slow(each, neighbors, thickness) for each in labels])
        assert (found == 1).any() and found.dtype == np.int32


def test_the_neighborhood_and_the_thickness_matter():
    """The control: no two settings give the same edges."""
    labels = maps()
    found = [np.asarray(edge_targets(labels, neighbors=n, thickness=t)) for n in (4, 8) for t in (1, 2)]
    assert all((a != b).any() for a, b in itertools.combinations(found, 2))
    corner = np.array([[[0, 0, 0], [0, 0, 0], [0, 0, 1]]])
    assert np.asarray(edge_targets(corner)).sum() == 3 and np.asarray(edge_targets(corner, neighbors=8)).sum() == 4


def test_ignored_labels_hide_what_is_below_them():
    labels = np.array([[[0, 0, 0, 255, 255, 1, 1, 1]]])
    assert np.asarray(edge_targets(labels)).tolist() == [[[0, 0, 255, 255, 255, 255, 0, 0]]]
    assert np.asarray(edge_targets(labels, ignore=None)).tolist() == [[[0, 0, 1, 1, 1, 1, 0, 0]]]


def test_edges_of_a_size_that_is_known_when_the_graph_runs():
    graph = tf.function(edge_targets, input_signature=[tf.TensorSpec((None, None, None), tf.uint8)])
    np.testing.assert_array_equal(graph(maps().astype("uint8")), edge_targets(maps()))


def windows(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """One step of the diffusion, in plain loops."""
    height, width, _ = values.shape
    found = np.zeros_like(values)
    for y, x in itertools.product(range(height), range(width)):
        rows, columns = slice(max(0, y - 1), y + 2), slice(max(0, x - 1), x + 2)
        part = np.maximum(weights[rows, columns], 1e-4)
        found[y, x] = (values[rows, columns] * part).sum(axis=(0, 1)) / part.sum()
    return found


def test_diffusion_equals_a_loop_and_without_edges_a_mean_filter():
    random = np.random.default_rng(0)
    values, edges = random.random((1, 7, 9, 3)), random.random((1, 7, 9, 1))
    edges[0, 2:5, 2:6] = 1
    expected, mean = values[0], values[0]
    for _ in range(3):
        expected, mean = windows(expected, 1 - edges[0]), windows(mean, np.ones((7, 9, 1)))
    found = np.asarray(diffuse(tf.constant(values), tf.constant(edges), steps=3))[0]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    plain = np.asarray(diffuse(tf.constant(values), tf.zeros((1, 7, 9, 1), "float64"), steps=3))[0]
    np.testing.assert_allclose(plain, mean, atol=1e-9)
    assert np.abs(found - plain).max() > 0.01, "the control: the edges matter"
    np.testing.assert_array_equal(diffuse(values, edges, steps=0), values)


def test_nothing_passes_an_edge():
    labels = np.zeros((1, 12, 16), int)
    labels[0, 3:9, 5:12] = 1
    values, other = (np.random.default_rng(0).random((1, 12, 16, 2)).astype("float32") for _ in range(2))
    other[labels == 1] += 1
    edges = (np.asarray(edge_targets(labels)) == 1)[..., None].astype("float32")
    for certain, least, most in ((edges, 0, 5e-3), (0 * edges, 0.1, 1)):
        found, changed = (np.asarray(diffuse(v, certain, steps=8)) for v in (values, other))
        outside = np.abs(found - changed)[labels == 0].max()
        assert least <= outside <= most


def test_blurred_regions_become_sharp_with_the_true_edges():
    """The boundary F1 rises. A plain mean filter lowers it, and so do edges in a wrong place."""
    from scipy.ndimage import gaussian_filter

    labels = np.zeros((64, 96), int)
    rows, columns = np.mgrid[:64, :96]
    labels[(rows - 30) ** 2 + (columns - 40) ** 2 < 20**2] = 1
    labels[10:60, 68:84] = 2
    random = np.random.default_rng(0)
    maps = np.stack([gaussian_filter((labels == k) * 1.0, 4) for k in range(3)], axis=-1)
    maps = np.maximum(maps + random.normal(0, 0.05, maps.shape), 0)[None].astype("float32")
    edges = (np.asarray(edge_targets(labels[None])) == 1)[..., None].astype("float32")

    def score(edges, steps: int) -> float:
        found = np.asarray(diffuse(maps, edges, steps=steps))[0].argmax(axis=-1)
        return float(np.nanmean(boundary_f1(labels, found, 3, tolerance=0)))

    before = score(edges, 0)
    assert score(edges, 10) > before + 0.3
    assert score(0 * edges, 10) < before, "a plain mean filter"
    assert score(np.roll(edges, 8, axis=2), 10) < before, "wrong edges"


def test_refusals():
    labels = np.zeros((1, 4, 4), int)
    for options, name in [({"neighbors": 6}, "neighbors"), ({"thickness": 0}, "thickness")]:
        with pytest.raises(UserError, match=f"`{name}`"):
            edge_targets(labels, **options)
    with pytest.raises(UserError, match="`steps`"):
        diffuse(np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 4, 1)), steps=-1)
