import numpy as np
import pytest

import kvision as kv


def random_probabilities(seed: int, size=(12, 15), classes: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), (1, *size)).astype("float32")


def count(probabilities) -> int:
    return kv.metrics.isolated_pixels(np.asarray(probabilities)[0].argmax(axis=-1))


def test_isolated_are_those_that_the_metric_counts():
    for seed in range(5):
        labels = np.random.default_rng(seed).integers(0, 3, (2, 9, 7))
        for corners, neighbors in ((False, 4), (True, 8)):
            found = np.asarray(kv.ops.isolated(labels, corners=corners)).sum(axis=(1, 2)).tolist()
            assert found == [kv.metrics.isolated_pixels(each, neighbors=neighbors) for each in labels]


@pytest.mark.parametrize("seed", range(5))
def test_passes_end_with_no_new_isolated_pixel(seed):
    before, after = random_probabilities(seed), random_probabilities(seed + 100)
    first, found = count(after), after
    for _ in range(10):
        previous, found = found, np.asarray(kv.ops.without_new_speckle(found, before))
        assert count(found) <= count(previous), "a pass never adds any"
    for corners in (False, True):
        was, now = (np.asarray(kv.ops.isolated(p.argmax(axis=-1), corners=corners)) for p in (before, found))
        assert not (now & ~was).any() and first > count(found)


def test_what_was_isolated_before_stays():
    probabilities = random_probabilities(0)
    assert count(probabilities) > 0
    np.testing.assert_array_equal(kv.ops.without_new_speckle(probabilities, probabilities), probabilities)


def test_the_most_certain_neighbor_is_taken_and_isolated_ones_are_not():
    labels = np.array([[0, 0, 0, 1], [0, 2, 1, 1], [0, 0, 1, 1]])
    certain = np.full(labels.shape, 0.6)
    certain[1, 2] = 0.9
    after = np.eye(3)[labels] * certain[..., None] + (1 - certain[..., None]) / 3
    before = np.eye(3)[np.where(labels == 2, 0, labels)]
    found = np.asarray(kv.ops.without_new_speckle(after[None], before[None]))[0]
    assert found[1, 1].argmax() == 1
    others = labels != 2
    np.testing.assert_allclose(found[others], after[others])
