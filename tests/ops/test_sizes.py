import numpy as np
import tensorflow as tf

from kvision.ops import sizes


def test_integers_where_known_and_tensors_where_not():
    assert sizes(np.zeros((2, 3, 4))) == (2, 3, 4)

    @tf.function(input_signature=[tf.TensorSpec((None, 3))])
    def rows(x):
        count, columns = sizes(x)
        assert not isinstance(count, int) and columns == 3
        return count

    assert rows(np.zeros((5, 3), "float32")) == 5
