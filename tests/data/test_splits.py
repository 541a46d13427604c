import csv

import numpy as np
import pytest

from kvision.checks import UserError
from kvision.data import leaks, sample, split, write_manifest


def _data(seed: int):
    """Labels of 5 uneven classes, and digests of which some are shared, within classes and across."""
    random = np.random.default_rng(seed)
    labels = random.choice(5, 400, p=[0.4, 0.3, 0.2, 0.07, 0.03])
    digests = np.array([f"{label}-{random.integers(60)}" for label in labels])
    digests[random.choice(400, 12, replace=False)] = np.repeat(["x", "y", "z"], 4)
    return labels, digests


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_a_split_is_a_split(seed, fraction):
    labels, digests = _data(seed)
    rest, part = split(labels, digests, fraction=fraction, seed=seed)
    assert sorted([*rest, *part]) == list(range(400))
    assert (np.diff(rest) > 0).all()
    assert (np.diff(part) > 0).all()
    assert not {*digests[rest]} & {*digests[part]}
    for c in range(5):
        assert c in labels[rest]
        assert c in labels[part]
    torn = {d for d in digests if len({*labels[digests == d]}) > 1}
    assert torn
    assert not torn & {*digests[part]}


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_fractions_hold_in_every_class(fraction):
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    rest, part = split(labels, [str(i) for i in range(160)], fraction=fraction, seed=0)
    assert np.bincount(labels[part]).tolist() == [100 * fraction, 50 * fraction, 10 * fraction]
    assert len(rest) == 160 * (1 - fraction)


def test_a_large_group_does_not_swell_the_part():
    labels = np.zeros(40, int)
    digests = ["same"] * 20 + [str(i) for i in range(20)]
    for seed in range(10):
        _, part = split(labels, digests, fraction=0.2, seed=seed)
        assert len(part) == 8


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_two_images_of_a_class_are_parted_whatever_the_fraction(fraction):
    rest, part = split(np.array([0, 0, 1, 1]), ["a", "b", "c", "d"], fraction=fraction, seed=0)
    assert len(rest) == len(part) == 2
    assert {i // 2 for i in rest} == {i // 2 for i in part} == {0, 1}


def test_the_seed_decides_and_the_order_does_not():
    labels, digests = _data(0)
    first = split(labels, digests, fraction=0.3, seed=1)
    again = split(labels, digests, fraction=0.3, seed=1)
    other = split(labels, digests, fraction=0.3, seed=2)
    np.testing.assert_array_equal(first[1], again[1])
    assert {*first[1]} != {*other[1]}
    shuffled = np.random.default_rng(0).permutation(400)
    moved = split(labels[shuffled], digests[shuffled], fraction=0.3, seed=1)
    np.testing.assert_array_equal(np.sort(shuffled[moved[1]]), first[1])


def test_too_few_distinct_images_are_named_with_their_counts():
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    digests = ["a", "b", "c", "c", "d", "e", "d"]  # both of class 1 are one image
    with pytest.raises(UserError, match=r"distinct images of each class. Received: 'bee: 1, wasp: 0'"):
        split(labels, digests, fraction=0.5, seed=0, class_names=["ant", "bee", "fly", "wasp"])
    # the copy of an ant leaves class 1 one image of its own: it goes to the part, the copy to the rest
    digests[2] = "a"
    rest, part = split(labels, digests, fraction=0.5, seed=0)
    assert 3 in part
    assert {0, 2} <= {*rest}


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 20])
def test_fraction_is_checked(fraction):
    with pytest.raises(UserError, match="`fraction`"):
        split(np.array([0, 0]), ["a", "b"], fraction=fraction, seed=0)


def test_sample():
    labels = np.repeat([0, 1, 2], [50, 30, 3])
    chosen = sample(labels, 10, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [10, 10, 3]
    assert (np.diff(chosen) > 0).all()
    assert {*chosen} != {*sample(labels, 10, seed=1)}
    np.testing.assert_array_equal(chosen, sample(labels, 10, seed=0))
    np.testing.assert_array_equal(sample(labels, None, seed=0), np.arange(83))
    with pytest.raises(UserError, match="`per_class`"):
        sample(labels, 0, seed=0)


def test_leaks():
    assert leaks(["a", "b", "c", "b"], ["b", "z"]).tolist() == [1, 3]
    assert leaks(["a"], ["z" * 64]).tolist() == []


def test_manifest(tmp_path):
    write_manifest(
        tmp_path / "splits.csv",
        names=["a,b.png", "ü.png", "c.png"],
        labels=np.array([1, 0, 1]),
        class_names=["cat", "dog"],
        file_hashes=["1", "2", "3"],
        parts={"train": np.array([2]), "test": np.array([0])},
    )
    with (tmp_path / "splits.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["path", "label", "split", "sha256"],
            ["a,b.png", "dog", "test", "1"],
            ["ü.png", "cat", "", "2"],
            ["c.png", "dog", "train", "3"],
        ]


def test_as_many_stay_as_are_parted_once_more():
    labels, digests = np.repeat([0, 1], [3, 10]), ["a", "b", "c", "d", "e", *"f" * 8]
    for seed in range(5):
        rest, part = split(labels, digests, fraction=0.2, seed=seed, least=2)
        assert all(len({digests[i] for i in rest if labels[i] == c}) >= 2 for c in (0, 1))
        assert {0, 1} == {*labels[part]}
        split(labels[rest], [digests[i] for i in rest], fraction=0.2, seed=seed)
    with pytest.raises(UserError, match=r"at least 3 distinct images of each class. Received: '0: 2'"):
        split(labels[1:], digests[1:], fraction=0.2, seed=0, least=2)
