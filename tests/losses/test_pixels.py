import keras
import numpy as np
import pytest
from keras import ops

from kvision.checks import UserError
from kvision.losses import dice, focal, lovasz_softmax, pixel_cross_entropy

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(3, 5, 6, 4)).astype("float32") * 2
LABELS = RANDOM.integers(0, 4, (3, 5, 6))
LABELS[0, :2], LABELS[1, 1, 1] = 255, 255
LABELS[2][LABELS[2] == 3] = 0  # a class that an image does not have
P = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
ALL = {
    "cross entropy": pixel_cross_entropy,
    "weighted": lambda labels, logits: pixel_cross_entropy(labels, logits, class_weights=[1, 2, 0.5, 3]),
    "focal": focal,
    "focal of a power below 1": lambda labels, logits: focal(labels, logits, gamma=0.5),
    "dice": dice,
    "lovasz": lovasz_softmax,
}


def pixels(b):
    return [(y, x) for y in range(5) for x in range(6) if LABELS[b, y, x] != 255]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 3.0]])
def test_cross_entropy_and_focal_by_hand(gamma, weights):
    found = np.asarray(focal(LABELS, LOGITS, gamma=gamma, class_weights=weights))
    for b in range(3):
        total = whole = 0.0
        for y, x in pixels(b):
            label = LABELS[b, y, x]
            p, w = P[b, y, x, label], 1 if weights is None else weights[label]
            total, whole = total - w * (1 - p) ** gamma * np.log(p), whole + w
        np.testing.assert_allclose(found[b], total / whole, rtol=1e-5)


def test_cross_entropy_is_keras_own_where_images_have_as_many_pixels():
    labels = np.where(RANDOM.permuted(np.tile(np.arange(30) < 7, (3, 1)), axis=1).reshape(3, 5, 6), 255, LABELS % 4)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)(labels, LOGITS)
    np.testing.assert_allclose(np.mean(pixel_cross_entropy(labels, LOGITS)), expected, rtol=1e-5)


def test_dice_by_hand():
    found = np.asarray(dice(LABELS, LOGITS, smooth=0.5))
    for b in range(3):
        losses = []
        for c in range(4):
            p = [P[b, y, x, c] for y, x in pixels(b)]
            t = [LABELS[b, y, x] == c for y, x in pixels(b)]
            if any(t):
                losses.append(1 - (2 * np.dot(p, t) + 0.5) / (np.sum(p) + np.sum(t) + 0.5))
        assert len(losses) == (3 if b == 2 else 4)
        np.testing.assert_allclose(found[b], np.mean(losses), rtol=1e-5)


def jaccard_loss(wrong: set, there: set) -> float:
    """1 - IoU of a class when the pixels in `wrong` are mispredicted (Berman et al., eq. 6)."""
    return len(wrong) / len(there | wrong) if there | wrong else 0.0


def test_lovasz_by_its_definition():
    """Sum of m_(i) (f({1..i}) - f({1..i-1})) over errors in falling order, set by set."""
    found = np.asarray(lovasz_softmax(LABELS, LOGITS))
    for b in range(3):
        losses = []
        for c in range(4):
            there = {place for place in pixels(b) if LABELS[b][place] == c}
            if not there:
                continue
            errors = sorted(
                ((abs((LABELS[b][place] == c) - P[b][place][c]), place) for place in pixels(b)), reverse=True
            )
            total, wrong = 0.0, set()
            for error, place in errors:
                more = wrong | {place}
                total, wrong = total + error * (jaccard_loss(more, there) - jaccard_loss(wrong, there)), more
            losses.append(total)
        np.testing.assert_allclose(found[b], np.mean(losses), rtol=1e-4)


def test_lovasz_of_certain_predictions_is_one_minus_iou():
    guess = RANDOM.integers(0, 4, LABELS.shape)
    found = np.asarray(lovasz_softmax(LABELS, 80.0 * np.eye(4)[guess].astype("float32")))
    for b in range(3):
        kept = LABELS[b] != 255
        losses = []
        for c in np.unique(LABELS[b][kept]):
            t, p = (LABELS[b] == c) & kept, (guess[b] == c) & kept
            losses.append(1 - (t & p).sum() / (t | p).sum())
        np.testing.assert_allclose(found[b], np.mean(losses), rtol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_what_is_ignored_changes_nothing_and_gets_no_gradient(name):
    import tensorflow as tf

    other = np.where((LABELS == 255)[..., None], RANDOM.normal(size=LOGITS.shape) * 9, LOGITS).astype("float32")
    np.testing.assert_allclose(ALL[name](LABELS, other), ALL[name](LABELS, LOGITS), rtol=1e-6)
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(ALL[name](LABELS, logits))
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all() and not gradient[LABELS == 255].any()
    assert np.abs(gradient[LABELS != 255]).max() > 1e-4
    step = ALL[name](LABELS, LOGITS - 0.1 * gradient)
    assert np.sum(step) < np.sum(loss), "down the gradient it falls"


@pytest.mark.parametrize("name", ALL)
def test_all_ignored_is_nothing_perfect_is_nothing_and_half_precision_is_float32(name):
    none = np.asarray(ALL[name](np.full_like(LABELS, 255), LOGITS))
    np.testing.assert_array_equal(none, 0)
    certain = 80.0 * np.eye(4, dtype="float32")[np.where(LABELS == 255, 0, LABELS)]
    np.testing.assert_allclose(ALL[name](LABELS, certain), 0, atol=1e-6)
    half = ALL[name](LABELS, ops.cast(LOGITS, "float16"))
    assert keras.backend.standardize_dtype(half.dtype) == "float32"
    np.testing.assert_allclose(half, ALL[name](LABELS, LOGITS), rtol=2e-2)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("strange", [4, -1])
def test_a_label_that_is_none_is_not_counted_as_right(name, strange):
    labels = LABELS.copy()
    labels[1, 4, 4] = strange
    found = np.asarray(ALL[name](labels, LOGITS))
    assert np.isnan(found[1]) and np.isfinite(found[[0, 2]]).all()


def test_certain_pixels_have_a_slope():
    import tensorflow as tf

    logits = tf.Variable(80.0 * np.eye(4, dtype="float32")[np.where(LABELS == 255, 0, LABELS)])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(focal(LABELS, logits, gamma=0.5))
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_trivial_values():
    even = np.zeros((2, 3, 3, 4), "float32")
    labels = np.arange(18).reshape(2, 3, 3) % 4
    np.testing.assert_allclose(pixel_cross_entropy(labels, even), np.log(4), rtol=1e-6)
    np.testing.assert_allclose(focal(labels, even), 0.75**2 * np.log(4), rtol=1e-6)


def test_without_an_ignored_label_all_count():
    labels = np.where(LABELS == 255, 0, LABELS)
    for loss in (pixel_cross_entropy, focal, dice, lovasz_softmax):
        np.testing.assert_array_equal(loss(labels, LOGITS, ignore=None), loss(labels, LOGITS))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: dice(LABELS[0], LOGITS), r"`labels`.*Received: \(5, 6\)"),
        (lambda: lovasz_softmax(LABELS[:, :4], LOGITS), "`labels`"),
        (lambda: pixel_cross_entropy(LABELS, LOGITS, class_weights=[1, 2]), r"`class_weights`.*4 numbers"),
        (lambda: pixel_cross_entropy(LABELS, LOGITS, class_weights=[1, 2, -1, 1]), "`class_weights`"),
        (lambda: focal(LABELS, LOGITS, gamma=-1), r"`gamma`.*at least 0"),
    ],
)
def test_arguments_are_checked(call, text):
    with pytest.raises(UserError, match=text):
        call()
