import keras
import numpy as np

import kvision as kv


def rows(boxes, logits, size=32) -> np.ndarray:
    layer = kv.layers.LocatedObject(size)
    found = layer(np.array(boxes, "float32"), np.array(logits, "float32"))
    return np.asarray(keras.ops.convert_to_numpy(found))


def test_the_box_of_the_likely_class_is_the_answer():
    boxes = [[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]] * 2
    logits = np.log([[0.1, 0.7, 0.2], [0.2, 0.3, 0.5]])
    found = rows(boxes, logits)
    np.testing.assert_allclose(found, [[[5, 6, 7, 8, 0.7, 1]], [[9, 10, 11, 12, 0.5, 2]]], rtol=1e-5)


def test_one_box_serves_all_classes():
    np.testing.assert_allclose(rows([[[1, 2, 3, 4]]], [[0, 0, 50]]), [[[1, 2, 3, 4, 1, 2]]], rtol=1e-6)


def test_boxes_are_clipped_and_put_in_order():
    assert rows([[[20, 30, 10, 5]]], [[9, 0]])[0, 0, :4].tolist() == [10, 5, 20, 30]
    assert rows([[[-4, 3, 40, 50]]], [[9, 0]])[0, 0, :4].tolist() == [0, 3, 32, 32]
    assert rows([[[40, 40, 50, 50]]], [[9, 0]])[0, 0, :4].tolist() == [32, 32, 32, 32], "outside: an empty box"


def test_it_is_serialized():
    layer = keras.layers.deserialize(keras.layers.serialize(kv.layers.LocatedObject(48)))
    assert layer.image_size == 48
    assert layer(keras.Input((1, 4)), keras.Input((3,))).shape == (None, 1, 6)
