import dataclasses

import keras
import numpy as np
import pytest
import scenes

import kvision as kv
from kvision import runs
from kvision.runs import masked, refined


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = scenes.split(tmp_path_factory.mktemp("scenes"), train=10, val=3)
    config = masked.MaskSettings(data=str(folder), longest_side=40)
    return masked.load(config, chooses=True)


def network(data) -> keras.Model:
    """Logits by the distance of a blurred gray to the mean gray of each class, so that boundaries are off."""
    grays = np.zeros((2, len(data.class_names)))
    for i in range(len(data.train)):
        image, labels = data.train.example(i)
        for label in range(len(data.class_names)):
            grays[:, label] += image.mean(axis=2)[labels == label].sum(), (labels == label).sum()
    means = grays[0] / grays[1] / 255
    image = keras.Input((None, None, 3), name="image")
    blurred = keras.layers.AveragePooling2D(5, strides=1, padding="same")(keras.layers.Rescaling(1 / 255)(image))
    layer = keras.layers.Conv2D(len(means), 1)
    model = keras.Model(image, layer(blurred))
    kernel = np.repeat(2 * means[None], 3, axis=0) / 3
    layer.set_weights([40 * kernel[None, None], -40 * means**2])
    return model


def test_parameters_are_fitted_recorded_and_measured(data, tmp_path):
    model = network(data)
    test = data.test.subset([0])
    split, options = dataclasses.replace(data, test=test), {"seed": 0, "name": "net"}
    crf, rows = refined.measured(model, split, records=runs.Records(tmp_path), **options)
    plain = masked.score(model, test, seed=0)
    assert list(rows) == ["net-crf", "net-crf-window"]
    for row in rows.values():
        assert {"mean_iou", "boundary_f1", "interval", "seconds", "chosen", "ious"} <= set(row)
        assert row["crf"] == crf.facts() and row["crf_images"] == 1
    assert rows["net-crf"]["boundary_f1"] > plain["boundary_f1"], "blurred boundaries become sharp"
    again = refined.measured(model, split, records=runs.Records(tmp_path), **options)
    assert again == (crf, rows), "found finished"


def test_the_network_with_a_crf_gives_probabilities_and_is_not_changed_again(data):
    model = network(data)
    crf = kv.segmentation.CRFParameters(iterations=2)
    found = refined.with_crf(model, crf)
    assert masked.exportable(found) is found
    image = data.test.example(0)[0][None].astype("float32")
    answer = np.asarray(found(image))
    np.testing.assert_allclose(answer.sum(axis=-1), 1, atol=1e-5)
    expected = kv.layers.WindowedCRF(crf)(masked.exportable(model)(image), image)
    np.testing.assert_allclose(answer, np.asarray(expected), atol=1e-5)
