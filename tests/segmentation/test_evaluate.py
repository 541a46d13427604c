import keras
import numpy as np
import pytest
import scenes

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation import evaluate
from kvision.segmentation.evaluate import scores


def grays() -> keras.Model:
    """Logits that are largest for the class whose gray is nearest: 40, 120, 200."""
    image = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(3, 1)
    model = keras.Model(image, layer(image))
    levels = np.array([40, 120, 200]) / 100  # -(x - level)^2, without what is the same for all
    layer.set_weights([np.full((1, 1, 3, 3), 1 / 300) * 2 * levels, -(levels**2)])
    return model


@pytest.fixture
def images(tmp_path):
    scenes.write(tmp_path, 5)
    return kv.data.from_masks(tmp_path, kv.data.LabelMap(scenes.CLASSES, {0: 0, 1: 1, 2: 2}), progress=False)


def test_a_network_that_knows_is_right_and_a_blind_one_is_not(images):
    found = evaluate(grays(), images, progress=False)
    assert found.confusion.matrix.sum() == 5 * 40 * 56
    assert found.confusion.mean_iou > 0.99 and found.mean_boundary_f1 > 0.95 and found.trimap[1] > 0.95
    assert found.interval[0] <= found.confusion.mean_iou <= found.interval[1] + 1e-9
    blind = grays()
    blind.layers[-1].set_weights([np.zeros((1, 1, 3, 3)), np.array([1.0, 0, 0])])
    nothing = evaluate(blind, images, progress=False)
    assert nothing.confusion.mean_iou < 0.3 and nothing.confusion.ious[1] == 0 and nothing.mean_boundary_f1 < 0.1


def test_masks_keep_their_size_where_the_network_sees_smaller_images(images, tmp_path):
    small = kv.data.from_masks(images.folder, images.label_map, longest_side=28, progress=False)
    found = evaluate(grays(), small, progress=False)
    assert found.confusion.matrix.sum() == 5 * 40 * 56 and 0.8 < found.confusion.mean_iou < 0.99


def test_scores_are_of_the_whole_set_and_boundaries_of_images_that_have_them():
    references = [np.zeros((20, 20), "uint8"), np.tile(np.arange(20) // 10, (20, 1)).astype("uint8")]
    predictions = [references[0], np.tile((np.arange(20) + 6) // 10 > 0, (20, 1)).astype("uint8")]
    found = scores(references, predictions, 3)
    right, wrong = 400 + 80 + 200, 120
    assert found.confusion.pixel_accuracy == pytest.approx(right / (right + wrong))
    assert found.confusion.ious[1] == pytest.approx(200 / 320) and np.isnan(found.confusion.ious[2])
    assert found.boundary_f1[:2].tolist() == [0, 0], "six pixels off; the image without a boundary is no zero"
    assert np.isnan(found.boundary_f1[2]) and found.mean_boundary_f1 == 0
    assert found.trimap[1] == pytest.approx(20 / 40) and list(found.trimap) == [1, 2, 4, 8, 16]


def test_the_interval_is_seeded_and_narrows_with_more_images():
    random = np.random.default_rng(0)
    references = [random.integers(0, 2, (8, 8)).astype("uint8") for _ in range(64)]
    predictions = [np.where(random.random((8, 8)) < random.uniform(0, 0.6), 1 - r, r) for r in references]
    few, many = (scores(references[:n], predictions[:n], 2, seed=3).interval for n in (8, 64))
    assert many == scores(references, predictions, 2, seed=3).interval
    assert many[1] - many[0] < few[1] - few[0]


def test_without_images_there_is_no_score():
    with pytest.raises(UserError, match=r"`references`.*at least one mask"):
        scores([], [], 2)
