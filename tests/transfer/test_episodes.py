import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError

LABELS = np.random.default_rng(0).permutation(np.repeat([3, 5, 6, 9, 11], [30, 30, 12, 30, 3]))


def test_classes_images_and_numbers():
    found = kv.transfer.episodes(LABELS, ways=3, shots=4, queries=10, count=200, seed=1)
    seen: set[int] = set()
    for episode in found:
        assert len(set(episode.classes)) == 3 and 11 not in episode.classes, "class 11 has 3 images, too few for 4 + 1"
        np.testing.assert_array_equal(LABELS[episode.support], np.repeat(episode.classes, 4))
        assert not set(episode.support) & set(episode.queries)
        assert len(set(episode.support)) == 12 and len(set(episode.queries)) == len(episode.queries)
        counts = {label: np.sum(LABELS[episode.queries] == label) for label in episode.classes}
        assert counts == {label: 8 if label == 6 else 10 for label in episode.classes}, "class 6 has 8 images left"
        seen |= set(episode.support)
    assert seen == set(np.flatnonzero(LABELS != 11)), "each image is drawn at some time"


def test_the_seed_decides():
    draw = {s: kv.transfer.episodes(LABELS, ways=2, shots=1, count=5, seed=s) for s in (0, 1)}
    again = kv.transfer.episodes(LABELS, ways=2, shots=1, count=5, seed=0)
    assert all(
        (a.support == b.support).all() and (a.queries == b.queries).all() for a, b in zip(draw[0], again, strict=True)
    )
    assert any((a.support != b.support).any() for a, b in zip(draw[0], draw[1], strict=True))


def test_what_cannot_be_drawn():
    with pytest.raises(UserError, match=r"`ways`.*with 5 images or more.*5, of 4 such"):
        kv.transfer.episodes(LABELS, ways=5, shots=4)
    for name, options in {"ways": {"ways": 1, "shots": 1}, "shots": {"ways": 2, "shots": 0}}.items():
        with pytest.raises(UserError, match=f"`{name}`"):
            kv.transfer.episodes(LABELS, **options)
