import sys

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

import kvision as kv
from kvision.checks import UserError
from kvision.selfsup.linear_probe import Heads

RATES = (0.03, 0.5, 8.0)


def by_hand(x, y, *, rate, epochs, batch_size, seed, classes) -> tuple[np.ndarray, np.ndarray]:
    """Softmax regression by SGD with momentum .9 and a cosine, in float64."""
    x, kernel, bias = x.astype("float64"), np.zeros((x.shape[1], classes)), np.zeros(classes)
    speed = [np.zeros_like(kernel), np.zeros_like(bias)]
    steps = -(-len(x) // batch_size)
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(x))
        for step in range(steps):
            rows = order[step * batch_size : (step + 1) * batch_size]
            slope = (softmax(x[rows] @ kernel + bias, axis=1) - np.eye(classes)[y[rows]]) / len(rows)
            now = rate * (1 + np.cos(np.pi * (epoch * steps + step) / (epochs * steps))) / 2
            for moving, gradient, weight in zip(
                speed, (x[rows].T @ slope, slope.sum(axis=0)), (kernel, bias), strict=True
            ):
                moving *= 0.9
                moving -= now * gradient
                weight += moving
    return kernel, bias


@pytest.fixture(scope="module")
def standardized(blobs):
    (x, y), _ = blobs
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="module")
def together(standardized):
    heads = Heads(12, 4, RATES)
    heads.train(*standardized, epochs=3, batch_size=50, seed=5)
    return heads.arrays()


@pytest.mark.parametrize("index", range(len(RATES)))
def test_each_head_trains_as_one_rate_does_by_hand(standardized, together, index):
    options = {"epochs": 3, "batch_size": 50, "seed": 5, "classes": 4}
    for found, expected in zip(together[index], by_hand(*standardized, rate=RATES[index], **options), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-4 * max(1, np.abs(expected).max()))
    kernel, _ = by_hand(*standardized, rate=RATES[index - 1], **options)
    assert np.abs(together[index][0] - kernel).max() > 0.01, "control: another rate ends elsewhere"


def test_a_head_alone_ends_where_it_does_among_others(standardized, together):
    heads = Heads(12, 4, RATES[1:2])
    heads.train(*standardized, epochs=3, batch_size=50, seed=5)
    for alone, among in zip(heads.arrays()[0], together[1], strict=True):
        np.testing.assert_allclose(alone, among, atol=1e-6)


def test_its_state_is_all_of_it(standardized):
    whole, first, second = (Heads(12, 4, [0.5]) for _ in range(3))
    options = {"epochs": 1, "batch_size": 50, "seed": 5, "factor": lambda progress: 1.0}
    for epoch in (0, 1):
        whole.train(*standardized, first_epoch=epoch, **options)
    first.train(*standardized, **options)
    second.state = first.state
    second.train(*standardized, first_epoch=1, **options)
    for a, b in zip(whole.state, second.state, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(whole.state, first.state, strict=True))


def test_the_rate_is_chosen_on_training_rows_and_the_head_is_plain(blobs):
    (x, y), (test, truth) = blobs
    x, test = x[:, :3], test[:, :3]  # in which the classes overlap
    probe = kv.selfsup.linear_probe(
        x, y, test, truth, learning_rates=(30.0, 0.3, 1e-6), epochs=3, batch_size=64, seed=4
    )
    fit, tune = kv.data.split(y, [f"{row:09}" for row in range(240)], fraction=0.2, seed=4)
    scaler, heads = StandardScaler().fit(x[fit]), Heads(3, 4, [1e-6, 0.3, 30.0])
    heads.train(scaler.transform(x[fit]), y[fit], epochs=3, batch_size=12, seed=4)
    right = [(scaler.transform(x[tune]) @ kernel + bias).argmax(axis=1) == y[tune] for kernel, bias in heads.arrays()]
    assert probe.validation_accuracy == pytest.approx(
        dict(zip([1e-6, 0.3, 30.0], [r.mean() for r in right], strict=True))
    )
    assert len(set(probe.validation_accuracy.values())) == 3 and probe.validation_accuracy[probe.learning_rate] == max(
        probe.validation_accuracy.values()
    )
    found = np.asarray(probe.to_layer()(test))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found.argmax(axis=1) == truth).mean() == pytest.approx(probe.accuracy)
    assert probe.interval == kv.metrics.accuracy_interval(round(200 * probe.accuracy), 200)
    assert probe.kernel.shape == (3, 4) and probe.kernel.dtype == probe.bias.dtype == "float32"


def test_it_separates_what_can_be_separated_as_scikit_learn_does(blobs):
    (x, y), (test, truth) = blobs
    probe = kv.selfsup.linear_probe(x, y, test, truth, learning_rates=[0.1], epochs=10)
    best = kv.heads.LogisticHead(1.0).fit(x, y).score(test, truth)
    assert best > 0.9 and probe.accuracy == pytest.approx(best, abs=0.015), "within three rows of 200"


def test_the_folded_head_is_the_standardization_and_the_dense_layer(blobs):
    (x, y), (test, truth) = blobs
    probe = kv.selfsup.linear_probe(x, y, test, truth, learning_rates=[0.3], epochs=2, batch_size=64, seed=3)
    assert probe.validation_accuracy == {} and probe.learning_rate == 0.3
    scaler, heads = StandardScaler().fit(x), Heads(12, 4, [0.3])
    heads.train(scaler.transform(x), y, epochs=2, batch_size=15, seed=3)  # 16 steps an epoch
    ((kernel, bias),) = heads.arrays()
    expected = softmax(scaler.transform(test) @ kernel + bias, axis=1)
    np.testing.assert_allclose(np.asarray(probe.to_layer()(test)), expected, atol=1e-5)


def test_permuted_labels_give_chance_and_of_equal_rates_the_lowest_is_taken(blobs):
    (x, y), (test, truth) = blobs
    permuted = np.random.default_rng(2).permutation(y)
    probe = kv.selfsup.linear_probe(x, permuted, test, truth, learning_rates=[3e-7, 1e-7], epochs=1)
    assert 0.14 < probe.accuracy < 0.36 and probe.learning_rate == 1e-7


def test_a_collapsed_encoder_gives_chance_and_no_error():
    same, labels = np.full((40, 3), 0.7), np.arange(40) % 4
    probe = kv.selfsup.linear_probe(same, labels, same, labels, learning_rates=[0.1, 1.0], epochs=1)
    assert probe.accuracy == 0.25 and np.isfinite(probe.kernel).all()


def test_of_a_few_rows_batches_are_smaller(blobs):
    """Otherwise 40 rows would make one batch an epoch, and 8 steps in all."""
    (x, y), (test, truth) = blobs
    probe = kv.selfsup.linear_probe(x[:40], y[:40], test, truth, learning_rates=[0.03], epochs=8)
    scaler = StandardScaler().fit(x[:40])
    found = probe.kernel * scaler.scale_[:, None]

    def expected(batch_size):
        options = {"rate": 0.03, "epochs": 8, "seed": 0, "classes": 4, "batch_size": batch_size}
        return by_hand(scaler.transform(x[:40]), y[:40], **options)[0]

    np.testing.assert_allclose(found, expected(2), atol=1e-4)
    assert np.abs(found - expected(256)).max() > 0.05, "control"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rates": []}, "`learning_rates`"),
        ({"learning_rates": [0.1, -1]}, "`learning_rates`"),
        ({"epochs": 0}, "`epochs`"),
        ({"train_labels": np.zeros(240, int)}, "`train_labels` .*two classes"),
        ({"train_labels": np.arange(240) // 239}, "too few images to split.*1: 1"),
        ({"test_features": np.ones((3, 5))}, r"`test_features` .*\(n, 12\)"),
        ({"test_labels": np.arange(3)}, "`test_labels` .*200 integer"),
    ],
)
def test_what_is_wrong_is_said(blobs, change, message):
    (x, y), (test, truth) = blobs
    given = {"train_features": x, "train_labels": y, "test_features": test, "test_labels": truth, **change}
    with pytest.raises(UserError, match=message):
        kv.selfsup.linear_probe(**given)


class Untrained:
    """Heads whose biases tell their learning rates."""

    def __init__(self, width, classes, rates):
        self.found = [(np.zeros((width, classes), "float32"), np.full(classes, rate, "float32")) for rate in rates]

    def train(self, *_, **__): ...

    def arrays(self):
        return self.found


@pytest.mark.parametrize(
    ("peak", "rates", "rate", "tried"),
    [
        (0.03, None, 0.03, (1e-3, 1.0, 7)),
        (0.001, None, 0.001, (3e-5, 1.0, 10)),
        (1e-5, None, 1e-5, (1e-6, 1.0, 13)),
        (100.0, None, 100.0, (1e-3, 1000.0, 13)),
        (None, None, 0.001, (3e-5, 1.0, 10)),
        (1e-5, [0.3, 0.1], 0.1, (0.1, 0.3, 2)),
    ],
)
def test_rates_are_added_until_the_best_is_not_at_the_edge(monkeypatch, peak, rates, rate, tried):
    def accuracy(x, y, kernel, bias, center):
        return 0.5 if peak is None else 0.9 - abs(np.log10(bias[0] / peak)) / 10

    module = sys.modules["kvision.selfsup.linear_probe"]
    monkeypatch.setattr(module, "Heads", Untrained)
    monkeypatch.setattr(module, "_accuracy", accuracy)
    x, y = np.eye(10, 3), np.arange(10) % 2
    probe = kv.selfsup.linear_probe(x, y, x, y, learning_rates=rates)
    assert probe.learning_rate == pytest.approx(rate)
    assert (
        min(probe.validation_accuracy),
        max(probe.validation_accuracy),
        len(probe.validation_accuracy),
    ) == pytest.approx(tried)
    assert list(probe.validation_accuracy) == sorted(probe.validation_accuracy) and probe.validation_accuracy[
        probe.learning_rate
    ] == max(probe.validation_accuracy.values())
