from typing import Any

import keras
import numpy as np
import pytest
from sklearn.svm import LinearSVC

from kvision import checks
from kvision.heads import MinedSVM

WIDTH, CLASSES = 12, 3


def images(count=30, rows=40, seed=0):
    """Blocks of noise, in which some rows belong to a class, and others resemble it and do not count for it."""
    random = np.random.default_rng(seed)
    centers = random.normal(0, 1, (CLASSES, WIDTH))
    blocks = []
    for _ in range(count):
        owner = random.integers(-1, CLASSES, rows)
        owner[rows // 4 :] = -1
        near = random.random(rows) < 0.4
        size = np.where(owner < 0, 0, np.where(near, 0.5, 1))
        features = random.normal(0.5, 1, (rows, WIDTH)) + size[:, None] * centers[owner]
        labels = np.where(owner[:, None] == np.arange(CLASSES), np.where(near, 0, 1)[:, None], -1)
        blocks.append((features.astype("float32"), labels.astype("int8")))
    return blocks


def on_all_rows(blocks, label, C=1e-3):
    """Scikit-learn's SVM on everything that counts: kernel and bias for raw features."""
    features, labels = (np.concatenate(part) for part in zip(*blocks, strict=True))
    factor = 20 / np.linalg.norm(features, axis=1).mean()
    counts = labels[:, label] != 0
    svm = LinearSVC(
        C=C, loss="hinge", intercept_scaling=10, class_weight={1: 2}, random_state=0, max_iter=100_000, tol=1e-6
    ).fit(features[counts] * factor, labels[counts, label])
    return svm.coef_[0] * factor, svm.intercept_[0]


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_mining_ends_at_the_svm_of_all_rows():
    blocks = images()
    mined = MinedSVM(retrain_after=30, passes=50).fit(blocks)
    for label in range(CLASSES):
        kernel, bias = on_all_rows(blocks, label)
        assert cosine(mined.kernel_[:, label], kernel) > 0.999
        assert abs(mined.bias_[label] - bias) < 0.02
        assert np.isclose(np.linalg.norm(mined.kernel_[:, label]), np.linalg.norm(kernel), rtol=0.02)
    once = MinedSVM(retrain_after=30).fit(blocks)
    assert all(cosine(once.kernel_[:, i], mined.kernel_[:, i]) > 0.95 for i in range(CLASSES)), "one pass is near"


def test_positives_as_negatives_or_rows_that_do_not_count_give_another_svm():
    blocks = images()
    kernel, _ = on_all_rows(blocks, 0)
    every = [(f, np.where(y == 0, -1, y)) for f, y in blocks]
    twice = [(np.concatenate([f, f]), np.concatenate([y, -np.abs(y)])) for f, y in blocks]
    for wrong in (every, twice):
        found = MinedSVM(retrain_after=30, passes=50).fit(wrong).kernel_[:, 0]
        assert cosine(found, kernel) < 0.995 and np.linalg.norm(found) < 0.9 * np.linalg.norm(kernel)


def test_only_hard_negatives_stay_in_the_cache(monkeypatch):
    random = np.random.default_rng(0)
    labels = np.repeat([[1], [-1]], [2, 100], axis=0)
    blocks = [(random.normal(np.where(labels > 0, 3.0, -3.0), 0.5, (102, 8)), labels) for _ in range(5)]
    sizes = []

    def refit(self, label, positives, cache, original=MinedSVM._refit):
        sizes.append([len(positives), len(cache)])
        original(self, label, positives, cache)
        sizes[-1].append(len(cache))

    monkeypatch.setattr(MinedSVM, "_refit", refit)
    svm = MinedSVM(C=1.0, retrain_after=150).fit(blocks)
    assert sizes[0][:2] == [10, 200], "at first all negatives of two images enter, and all positives count"
    assert 0 < sizes[0][2] < 80 and all(before < 120 for _, before, _ in sizes[1:]), "of 500 negatives"
    assert ((svm.decision_function(blocks[4][0]) > 0) == (labels > 0)).all()


class OnDisk:
    """Blocks that are made when they are indexed, without `__iter__`."""

    def __init__(self, blocks):
        self.blocks, self.reads = blocks, 0

    def __len__(self):
        return len(self.blocks)

    def __getitem__(self, index):
        self.reads += 1
        features, labels = self.blocks[index]
        return features.copy(), labels.copy()


def test_images_are_read_once_per_pass_and_the_result_is_reproducible(capfd):
    blocks = images(8)
    lazy = OnDisk(blocks)
    first, second = MinedSVM(retrain_after=50).fit(lazy), MinedSVM(retrain_after=50, verbose=True).fit(blocks)
    assert lazy.reads <= 2 * 8 + 2, "one read past the end tells that there are no more"
    assert all(np.array_equal(first.arrays()[name], second.arrays()[name]) for name in ("kernel", "bias"))
    half = [(features.astype("float16"), labels) for features, labels in blocks]
    assert cosine(MinedSVM().fit(half).kernel_[:, 0], first.kernel_[:, 0]) > 0.99


def test_one_image_and_classes_that_cannot_be_learned():
    ((features, labels),) = images(1)
    labels[:, 1] = -np.abs(labels[:, 1])  # no positives
    labels[:, 2] = np.abs(labels[:, 2])  # no negatives
    svm = MinedSVM().fit([(features, labels)])
    kernel, _ = on_all_rows([(features, labels)], 0)
    assert cosine(svm.kernel_[:, 0], kernel) > 0.999
    scores = svm.decision_function(features)
    assert (scores[:, 1:] == -1e4).all() and np.abs(scores[:, 0]).max() < 100 and scores.dtype == np.float32
    empty = MinedSVM().fit([(features, labels), (features[:0], labels[:0])])
    np.testing.assert_array_equal(empty.kernel_, svm.kernel_)


def test_layer_and_arrays_compute_the_same(tmp_path):
    blocks = images(3)
    svm = MinedSVM().fit(blocks)
    features = blocks[0][0]
    expected = svm.decision_function(features)
    inputs = keras.Input((WIDTH,), name="features")
    keras.Model(inputs, svm.to_layer()(inputs)).save(tmp_path / "model.keras")
    model: Any = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(features)), expected, atol=1e-5)
    again = MinedSVM.from_arrays(**svm.arrays())
    np.testing.assert_array_equal(again.decision_function(features), expected)


def test_wrong_arguments():
    features, labels = np.ones((4, 2), "float32"), np.ones((4, 1), "int8")
    for blocks in (
        iter([(features, labels)]),
        [(features, labels[:3])],
        [(features, labels[:, 0])],
        [(features, labels[:, :0])],
        [],
    ):
        with pytest.raises(checks.UserError, match="`blocks`"):
            MinedSVM().fit(blocks)
    with pytest.raises(checks.UserError, match="same width"):
        MinedSVM().fit([(features, labels), (features[:, :1], labels)])
    with pytest.raises(checks.UserError, match="not finite"):
        MinedSVM().fit([(features * np.nan, labels)])
    with pytest.raises(checks.UserError, match="`passes`"):
        MinedSVM(passes=0).fit([(features, labels)])
    for kernel in (np.zeros((2, 3)), np.full((2, 1), np.nan)):
        with pytest.raises(checks.UserError, match="`kernel`"):
            MinedSVM.from_arrays(kernel, np.zeros(1))
