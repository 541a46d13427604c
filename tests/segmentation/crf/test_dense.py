import crf_by_hand as by_hand
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation.crf.kernels import ExactFilter
from kvision.segmentation.crf.mean_field import mean_field

CRFParameters, dense_crf = kv.segmentation.CRFParameters, kv.segmentation.dense_crf
FORMS = ("exact", "lattice")
SMALL = CRFParameters(4, 0.2, 20, 2, 0.06, iterations=5)
NOTHING = CRFParameters(bilateral_weight=0, spatial_weight=0)


def test_the_exact_form_is_the_paper_in_loops():
    image, _, probabilities = by_hand.photograph(9, 11, 4, seed=1)
    weights = by_hand.pair_weights(image, SMALL)
    expected = by_hand.mean_field(probabilities, weights, SMALL.iterations)
    np.testing.assert_allclose(dense_crf(probabilities, image, SMALL, form="exact"), expected, atol=1e-5)
    assert np.abs(expected - probabilities).max() > 0.1, "the control: the CRF does something"


def test_the_lattice_agrees_with_the_exact_form_on_crops():
    """Arg-max agreement of 40 x 30 crops with the same self term, over crops, for several parameters."""
    for parameters in (CRFParameters(), CRFParameters(5, 0.3, 8, 3, 0.02, 5), CRFParameters(4, 0.08, 5, 3, 0.03, 5)):
        same, control = [], []
        for seed in range(2):
            image, _, probabilities = by_hand.photograph(30, 40, 11, seed=seed)
            exact, near = (dense_crf(probabilities, image, parameters, form=form).argmax(axis=2) for form in FORMS)
            same.append(np.mean(exact == near))
            control.append(np.mean(exact == probabilities.argmax(axis=2)))
        assert np.mean(same) >= 0.99, parameters
        assert np.mean(control) < 0.98, "the control: the CRF changes labels"


@pytest.mark.parametrize("form", FORMS)
def test_no_weight_or_no_iteration_returns_the_probabilities(form):
    image, _, probabilities = by_hand.photograph(12, 14, 5)
    probabilities = np.where(probabilities > 0.01, probabilities, 0)
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    for parameters in (NOTHING, CRFParameters(iterations=0)):
        np.testing.assert_allclose(dense_crf(probabilities, image, parameters, form=form), probabilities, atol=1e-6)


def test_it_lowers_the_energy_and_a_flipped_sign_raises_it():
    image, _, probabilities = by_hand.two_regions(10, 16, noise=2)
    weights = by_hand.pair_weights(image, SMALL)
    before = by_hand.energy(probabilities.argmax(axis=2), probabilities, weights)
    found = dense_crf(probabilities, image, SMALL).argmax(axis=2)
    flipped = by_hand.mean_field(probabilities, weights, SMALL.iterations, sign=-1).argmax(axis=2)
    assert by_hand.energy(found, probabilities, weights) < before
    assert by_hand.energy(flipped, probabilities, weights) > before


@pytest.mark.parametrize("form", FORMS)
def test_noise_falls_and_the_boundary_moves_to_the_edge_of_the_colors(form):
    image, labels, probabilities = by_hand.two_regions(40, 60, noise=2)
    found = dense_crf(probabilities, image, form=form).argmax(axis=2)
    before = probabilities.argmax(axis=2)
    assert np.mean(before != labels) > 0.05 and np.mean(found != labels) < 0.002
    gray = np.full_like(image, 128)
    blind = dense_crf(probabilities, gray, form=form).argmax(axis=2)
    assert np.mean(blind != labels) > 0.02, "the control: without colors the boundary stays off"
    isolated = [kv.metrics.isolated_pixels(each) for each in (before, found)]
    assert isolated[1] <= isolated[0] and isolated[0] > 0


def published(probabilities, image):
    """The dense CRF of the paper with the default parameters, which does not remove speckle."""
    (height, width, classes), parameters = probabilities.shape, CRFParameters()
    far, near = parameters.pixels(height, width)
    places = np.stack(np.mgrid[:height, :width], axis=-1).reshape(-1, 2)
    colors = image.reshape(-1, 3) / parameters.bilateral_color
    kernels = [(10, ExactFilter(np.concatenate([places / far, colors], axis=1))), (3, ExactFilter(places / near))]
    return mean_field(np.log(probabilities.reshape(-1, classes)), kernels, 10).reshape(probabilities.shape)


@pytest.mark.parametrize("smooth", [True, False])
def test_no_speckle_is_added(smooth):
    """A noisy image, where the published CRF adds isolated pixels: to probabilities without any, and to noisy ones."""
    counts = {"before": [], "after": [], "published": []}
    for seed in range(2):
        image, labels, probabilities = by_hand.photograph(40, 50, 6, seed=seed)
        image = (image + np.random.default_rng(seed).normal(0, 14, image.shape)).clip(0, 255).astype("uint8")
        if smooth:
            probabilities = (0.6 * np.eye(6)[labels] + 0.4 / 6).astype("float32")
        answers = {"before": probabilities, "after": dense_crf(probabilities, image)}
        answers["published"] = published(probabilities, image)
        for neighbors in (4, 8):
            for name, answer in answers.items():
                counts[name].append(kv.metrics.isolated_pixels(answer.argmax(axis=2), neighbors=neighbors))
    assert all(after <= before for before, after in zip(counts["before"], counts["after"], strict=True)), counts
    assert sum(counts["published"]) > sum(counts["after"]), "the control"


def test_classes_may_change_places_and_the_image_may_turn():
    image, _, probabilities = by_hand.photograph(20, 24, 5)
    found, order = dense_crf(probabilities, image, SMALL), [3, 0, 4, 1, 2]
    np.testing.assert_allclose(dense_crf(probabilities[..., order], image, SMALL), found[..., order], atol=1e-5)
    turned = dense_crf(np.rot90(probabilities), np.rot90(image), SMALL, form="exact")
    np.testing.assert_allclose(turned, np.rot90(dense_crf(probabilities, image, SMALL, form="exact")), atol=1e-5)
    near = dense_crf(np.rot90(probabilities), np.rot90(image), SMALL).argmax(axis=2)
    assert np.mean(near == np.rot90(found).argmax(axis=2)) > 0.98, "the lattice is not aligned with the axes"


def test_a_plain_image_takes_the_label_of_the_majority():
    random = np.random.default_rng(0)
    probabilities = np.where(random.random((15, 20, 1)) < 0.7, [[[0.6, 0.4]]], [[[0.4, 0.6]]])
    wide = CRFParameters(10, 50.0, 13, 10, 50.0)
    for form in FORMS:
        found = dense_crf(probabilities, np.full((15, 20, 3), 90, "uint8"), wide, form=form)
        assert (found.argmax(axis=2) == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1)])
def test_tiny_images(size):
    probabilities = np.full((*size, 3), 1 / 3, "float32")
    for form in FORMS:
        found = dense_crf(probabilities, np.zeros((*size, 3), "uint8"), form=form)
        np.testing.assert_allclose(found, probabilities, atol=1e-5)


def test_wrong_calls_are_told():
    image, _, probabilities = by_hand.photograph(8, 9, 3)
    calls = [
        ((probabilities[0], image), "`probabilities`.*height, width, classes"),
        ((probabilities * 9, image), "`probabilities`.*0 to 1"),
        ((probabilities * np.nan, image), "`probabilities`.*0 to 1"),
        ((probabilities, image[:5]), r"`image`.*\(8, 9, 3\)"),
        ((probabilities, image / 255), "`image`"),
    ]
    for given, text in calls:
        with pytest.raises(UserError, match=text):
            dense_crf(*given)
    with pytest.raises(UserError, match="Did you mean 'lattice'"):
        dense_crf(probabilities, image, form="latice")
    with pytest.raises(UserError, match=r"`image`.*4096"):
        dense_crf(np.full((70, 70, 2), 0.5), np.zeros((70, 70, 3), "uint8"), form="exact")
