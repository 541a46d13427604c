import keras
import numpy as np
import pytest

from kvision.metrics import ClassMeanIoU, Confusion


def test_it_counts_the_classes_and_no_further_channel():
    random = np.random.default_rng(0)
    labels, outputs = random.integers(0, 3, (2, 5, 7)), random.normal(size=(2, 5, 7, 4)).astype("float32")
    labels[0, 0], outputs[..., 3] = 255, 9
    expected = Confusion.of(labels, outputs[..., :3].argmax(axis=-1), 3).mean_iou
    for metric in (ClassMeanIoU(3), ClassMeanIoU.from_config(ClassMeanIoU(3).get_config())):
        metric.update_state(labels[:1], outputs[:1])
        metric.update_state(labels[1:], outputs[1:])
        assert float(metric.result()) == pytest.approx(expected, rel=1e-6) and metric.name == "mean_iou"
    plain = keras.metrics.MeanIoU(4, ignore_class=255, sparse_y_pred=False)
    plain.update_state(labels, outputs)
    assert float(plain.result()) < 0.1, "the control: the edge would be a class"
