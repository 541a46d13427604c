import keras
import numpy as np
import pytest
import sklearn.metrics

from kvision.checks import UserError
from kvision.metrics import Confusion, boundary_f1, boundary_pixels, trimap_accuracy

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, (3, 12, 10))
GUESS = np.where(RANDOM.random(LABELS.shape) < 0.6, LABELS, RANDOM.integers(0, 4, LABELS.shape))
LABELS[0, :3] = 255


def whole() -> Confusion:
    first, *others = (Confusion.of(a, b, 5) for a, b in zip(LABELS, GUESS, strict=True))
    return sum(others, first)


def test_scores_of_a_set_are_scikit_learns_and_not_the_mean_of_images():
    kept = LABELS != 255
    labels, guess = LABELS[kept], GUESS[kept]
    np.testing.assert_array_equal(whole().matrix[:4, :4], sklearn.metrics.confusion_matrix(labels, guess))
    np.testing.assert_allclose(whole().ious[:4], sklearn.metrics.jaccard_score(labels, guess, average=None))
    assert np.isnan(whole().ious[4]), "a class that occurs nowhere"
    assert whole().mean_iou == pytest.approx(sklearn.metrics.jaccard_score(labels, guess, average="macro"))
    weighted = sklearn.metrics.jaccard_score(labels, guess, average="weighted")
    assert whole().frequency_weighted_iou == pytest.approx(weighted)
    assert whole().pixel_accuracy == pytest.approx(sklearn.metrics.accuracy_score(labels, guess))
    assert whole().mean_accuracy == pytest.approx(sklearn.metrics.balanced_accuracy_score(labels, guess))
    images = np.mean([Confusion.of(a, b, 5).mean_iou for a, b in zip(LABELS, GUESS, strict=True)])
    assert abs(images - whole().mean_iou) > 1e-4, "the control: another number"


def test_mean_iou_is_keras_own():
    metric = keras.metrics.MeanIoU(5, ignore_class=255)
    metric.update_state(LABELS, GUESS)
    assert whole().mean_iou == pytest.approx(float(metric.result()), rel=1e-5)


def test_what_is_ignored_changes_nothing_and_perfect_is_one():
    other = np.where(LABELS == 255, 3 - GUESS, GUESS)
    np.testing.assert_array_equal(Confusion.of(LABELS, other, 5).matrix, whole().matrix)
    perfect = Confusion.of(LABELS, np.where(LABELS == 255, 0, LABELS), 5)
    assert perfect.mean_iou == perfect.pixel_accuracy == perfect.frequency_weighted_iou == 1
    nothing = Confusion.of(np.full((2, 2), 255), np.zeros((2, 2), int), 3)
    assert np.isnan([nothing.mean_iou, nothing.pixel_accuracy, nothing.mean_accuracy]).all()


@pytest.mark.parametrize(
    ("labels", "guess", "text"),
    [
        ([0, 5], [0, 1], r"`labels`.*0 to 4, or 255.*\(0, 5\)"),
        ([0, 1], [0, -1], "`predictions`"),
        ([0, 1], [0], "`predictions`.*shape"),
    ],
)
def test_labels_that_do_not_exist_are_no_pixels_of_others(labels, guess, text):
    with pytest.raises(UserError, match=text):
        Confusion.of(np.array(labels), np.array(guess), 5)


def line(column: int) -> np.ndarray:
    return (np.arange(20) >= column)[None].repeat(15, axis=0).astype(int)


def test_a_shifted_line_is_found_up_to_the_tolerance():
    """The boundary is one pixel wide on each side: of a line shifted by 3, each class's lies 3 pixels away."""
    assert boundary_f1(line(8), line(8), 2, tolerance=0).tolist() == [1, 1]
    assert boundary_f1(line(8), line(11), 2, tolerance=3).tolist() == [1, 1]
    assert boundary_f1(line(8), line(11), 2, tolerance=2.9).tolist() == [0, 0]
    assert np.isnan(boundary_f1(line(0), line(0), 2, tolerance=1)).all(), "one class has no boundary"
    assert boundary_f1(line(0), line(8), 2, tolerance=1).tolist() == [0, 0]


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 1.5])
def test_boundary_f1_by_all_pairs(tolerance):
    labels, guess = LABELS[0], GUESS[0]
    found = boundary_f1(labels, guess, 4, tolerance=tolerance)
    swapped = boundary_f1(
        np.where(labels == 255, 255, guess), np.where(labels == 255, 0, labels), 4, tolerance=tolerance
    )

    def edge(mask):
        places = []
        for y, x in np.argwhere(mask):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [(r, c) for r, c in around if 0 <= r < 12 and 0 <= c < 10 and labels[r, c] != 255]
            if any(not mask[place] for place in inside):
                places.append((y, x))
        return places

    def share(these, those):
        near = [any((y - r) ** 2 + (x - c) ** 2 <= tolerance**2 for r, c in those) for y, x in these]
        return np.mean(near) if these else 0.0

    for c in range(4):
        kept = labels != 255
        a, b = edge((labels == c) & kept), edge((guess == c) & kept)
        precision, recall = share(b, a), share(a, b)
        expected = 2 * precision * recall / (precision + recall) if precision + recall else 0
        np.testing.assert_allclose([found[c], swapped[c]], expected)


def test_boundary_pixels_touch_the_outside_at_a_side():
    mask = np.zeros((5, 6), bool)
    mask[1:4, 2:6] = True
    expected = mask.copy()
    expected[2, 3:6] = False  # the image's rim is no side
    np.testing.assert_array_equal(boundary_pixels(mask), expected)


def test_trimaps_widen_to_the_whole_image():
    labels = line(8)
    guess = np.where(np.abs(np.arange(20) - 7.5) < 3, 1 - labels, labels)  # wrong near the boundary
    near, far = trimap_accuracy(labels, guess, [1, 100])
    assert near == (0, 2 * 15) and far == (20 * 15 - 6 * 15, 20 * 15)
    labels = labels.copy()
    labels[:, 8:] = 255
    assert trimap_accuracy(labels, guess, [5]) == [(0, 0)], "what is ignored makes no boundary"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 4), (3, 4)])
def test_nothing_to_count_is_nan_without_a_warning(shape):
    void, guess = np.full(shape, 255), np.zeros(shape, int)
    nothing = Confusion.of(void, guess, 3)
    names = ("pixel_accuracy", "accuracies", "ious", "mean_iou", "mean_accuracy", "frequency_weighted_iou")
    assert all(np.isnan(getattr(nothing, name)).all() for name in names)
    assert np.isnan(boundary_f1(void, guess, 3, tolerance=1)).all()
    assert trimap_accuracy(void, guess, [1]) == [(0, 0)]


def test_a_class_that_is_predicted_and_absent_counts_in_mean_iou_alone():
    """Long et al. 2015: n_ii / t_i is 0 / 0 for it, and their code takes the mean of the others."""
    found = Confusion.of(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), 4)
    assert found.mean_accuracy == pytest.approx((1 / 2 + 1) / 2)
    assert found.mean_iou == pytest.approx((1 / 2 + 1 + 0) / 3)
