import numpy as np

from kvision.segmentation.crf.mean_field import mean_field


def test_one_iteration_by_hand():
    """Two pixels; each pulls the other one with the weight 2 * 0.5."""
    logits = np.log([[0.9, 0.1], [0.4, 0.6]])
    found = mean_field(logits, [(2.0, lambda values: 0.5 * values[::-1])], 1)
    first = np.array([0.9 * np.exp(0.4), 0.1 * np.exp(0.6)])
    second = np.array([0.4 * np.exp(0.9), 0.6 * np.exp(0.1)])
    np.testing.assert_allclose(found, [first / first.sum(), second / second.sum()], rtol=1e-5)


def test_without_weight_or_iterations_it_is_the_softmax():
    logits = np.random.default_rng(0).normal(size=(6, 4))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for kernels, iterations in (([], 5), ([(0.0, None)], 5), ([(1.0, lambda values: values)], 0)):
        np.testing.assert_allclose(mean_field(logits, kernels, iterations), expected, rtol=1e-5)
    assert np.isfinite(mean_field(logits * 1e4, [(1e4, lambda values: values)], 3)).all()


def test_a_constant_at_a_pixel_changes_nothing():
    logits = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    kernels = [(3.0, lambda values: values[::-1] / 2)]
    np.testing.assert_allclose(mean_field(logits + 7, kernels, 4), mean_field(logits, kernels, 4), atol=1e-5)
