import importlib

import numpy as np
import pytest

figure = pytest.importorskip("matplotlib.figure", reason="needs the extra `plots`")

from kvision.checks import UserError  # noqa: E402
from kvision.plots import embedding_map  # noqa: E402

module = importlib.import_module("kvision.plots.embedding")
RANDOM = np.random.default_rng(0)
LABELS = np.arange(90) % 3
FEATURES = (RANDOM.normal(0, 4, (3, 60))[LABELS] + RANDOM.normal(size=(90, 60))).astype("float32")


def drawn(features=FEATURES, labels=LABELS, names=("a", "b", "c"), seed=0):
    return embedding_map(figure.Figure().subplots(), features, labels, names, seed)


@pytest.fixture(scope="module")
def axes():
    return drawn()


def test_a_color_a_class_and_classes_that_lie_apart_lie_apart(axes):
    groups = [collection.get_offsets().data for collection in axes.collections]
    assert [len(group) for group in groups] == [30, 30, 30]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b", "c"]
    assert len({tuple(collection.get_facecolor()[0]) for collection in axes.collections}) == 3
    centers = np.stack([group.mean(axis=0) for group in groups])
    wide = max(np.linalg.norm(group - center, axis=1).mean() for group, center in zip(groups, centers, strict=True))
    apart = min(np.linalg.norm(centers[i] - centers[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert apart > 2 * wide


def test_the_same_seed_draws_the_same(axes):
    again = drawn()
    for one, other in zip(axes.collections, again.collections, strict=True):
        np.testing.assert_array_equal(one.get_offsets().data, other.get_offsets().data)


def test_of_many_rows_a_sample_is_drawn_and_of_many_classes_no_legend(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 40)
    axes = drawn(names=[str(i) for i in range(21)], labels=np.arange(90) % 21)
    assert sum(len(collection.get_offsets()) for collection in axes.collections) == 40
    assert axes.get_legend() is None and axes.get_title() == "40 images by t-SNE"


def test_few_rows_do_and_too_few_are_refused():
    assert len(drawn(FEATURES[:4], LABELS[:4]).collections) == 3
    for features, labels in ((FEATURES[:2], LABELS[:2]), (FEATURES, LABELS[:5]), (LABELS, LABELS)):
        with pytest.raises(UserError, match=r"`features` .*at least 3"):
            drawn(features, labels)
