import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.losses import edge_attention, edge_cross_entropy, pixel_cross_entropy
from kvision.ops import edge_targets

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, (4, 4, 5)).repeat(3, axis=1).repeat(2, axis=2)
LABELS[0, :2] = 255
LABELS[1] = 1  # no edge
LABELS[2] = 255
EDGES = RANDOM.normal(0, 3, LABELS.shape).astype("float32")
LOGITS = RANDOM.normal(0, 2, (*LABELS.shape, 3)).astype("float32")


def numbers(value) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


def balanced(target: np.ndarray, logits: np.ndarray) -> float:
    """GSCNN's code for one image: weights, then a mean over the pixels that count."""
    counted, total = target != 255, 0.0
    share = (target[counted] == 1).mean() if counted.any() else 0.0
    for t, z in zip(target[counted], logits[counted].astype("float64"), strict=True):
        p = 1 / (1 + np.exp(-z))
        total += -(1 - share) * np.log(p) if t == 1 else -share * np.log(1 - p)
    return total / max(1, counted.sum())


@pytest.mark.parametrize("options", [{}, {"neighbors": 8, "thickness": 2}])
def test_edges_equal_a_slow_loop(options):
    targets = numbers(edge_targets(LABELS, **options))
    expected = [balanced(*pair) for pair in zip(targets, EDGES, strict=True)]
    found = numbers(edge_cross_entropy(LABELS, EDGES, **options))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[1] == found[2] == 0 and min(found[[0, 3]]) > 0
    one = numbers(edge_cross_entropy(LABELS[3:], EDGES[3:], **options))
    np.testing.assert_allclose(one, found[3:], rtol=1e-6)  # an image does not depend on its batch


def test_large_logits_are_finite_and_the_right_edges_cost_nothing():
    targets = numbers(edge_targets(LABELS))
    right = np.where(targets == 1, 200.0, -200.0)
    assert numbers(edge_cross_entropy(LABELS, right)).max() < 1e-6
    wrong = numbers(edge_cross_entropy(LABELS, -right))
    assert np.isfinite(wrong).all() and wrong[3] > 10


def test_ignored_pixels_change_nothing():
    hidden = numbers(edge_targets(LABELS)) == 255
    assert hidden.any()
    other = EDGES + 5 * hidden
    np.testing.assert_array_equal(
        numbers(edge_cross_entropy(LABELS, other)), numbers(edge_cross_entropy(LABELS, EDGES))
    )
    other = EDGES + 5 * ~hidden
    assert (numbers(edge_cross_entropy(LABELS, other)) != numbers(edge_cross_entropy(LABELS, EDGES))).any()


def test_attention_is_the_cross_entropy_where_an_edge_is_sure():
    sure = 1 / (1 + np.exp(-EDGES)) > 0.8
    kept = np.where(sure, LABELS, 255)
    weights = (1.0, 2.0, 0.5)
    expected = numbers(pixel_cross_entropy(kept, LOGITS, class_weights=weights))
    np.testing.assert_allclose(numbers(edge_attention(LABELS, LOGITS, EDGES, class_weights=weights)), expected)
    assert numbers(edge_attention(LABELS, LOGITS, EDGES * 0)).max() == 0
    whole = numbers(edge_attention(LABELS, LOGITS, EDGES, threshold=0.0))
    np.testing.assert_allclose(whole, numbers(pixel_cross_entropy(LABELS, LOGITS)))
    assert np.abs(whole - numbers(edge_attention(LABELS, LOGITS, EDGES))).max() > 1e-3


def test_refusals():
    with pytest.raises(UserError, match="`edges`"):
        edge_cross_entropy(LABELS, EDGES[..., None])
    with pytest.raises(UserError, match="`thickness`"):
        edge_cross_entropy(LABELS, EDGES, thickness=0)
