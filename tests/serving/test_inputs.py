import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.serving import inputs

SPECS = {"image": tf.TensorSpec((None, 4, 4, 3), tf.float32), "word": tf.TensorSpec((None,), tf.string)}
GOOD = {"image": np.arange(96, dtype="float32").reshape(2, 4, 4, 3), "word": np.array([b"a\0", b""], dtype=object)}


def protos(**arrays):
    return {name: tf.make_tensor_proto(array) for name, array in arrays.items()}


def test_good_ones_are_decoded():
    decoded = inputs.tensors(protos(**GOOD), SPECS)
    np.testing.assert_array_equal(decoded["image"], GOOD["image"])
    assert decoded["word"].numpy().tolist() == [b"a\0", b""]
    empty = {"image": GOOD["image"][:0], "word": tf.constant([], tf.string)}
    assert inputs.tensors(protos(**empty), SPECS)["image"].shape == (0, 4, 4, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, r"`image` is missing.*`image` float32 \(\?, 4, 4, 3\), `word` string.*\['word'\]"),
        ({"picture": np.zeros(1)}, r"`picture` is not an input.*`image` float32.*'picture', 'word'"),
        ({"image": np.zeros((1, 4, 4, 3), "uint8")}, r"`image` has another dtype.*float32.*'uint8 \(1, 4, 4, 3\)'"),
        ({"image": np.zeros((1, 4, 5, 3), "float32")}, r"`image` has another shape.*\(\?, 4, 4, 3\).*\(1, 4, 5, 3\)"),
        ({"image": np.zeros((4, 4, 3), "float32")}, r"`image` has another shape.*'float32 \(4, 4, 3\)'"),
        ({"word": "one"}, r"`word` has another shape.*string \(\?\).*'string \(\)'"),
        ({"word": np.zeros(2, "float32")}, r"`word` has another dtype.*string.*float32"),
    ],
)
def test_others_are_refused_by_name(change, message):
    arrays = {name: array for name, array in {**GOOD, **change}.items() if array is not None}
    with pytest.raises(UserError, match=message):
        inputs.tensors(protos(**arrays), SPECS)


def test_damaged_tensors_are_refused():
    def broken(change, name="image"):
        sent = protos(**GOOD)
        change(sent[name])
        with pytest.raises(UserError, match=f"`{name}`") as caught:
            inputs.tensors(sent, SPECS)
        return str(caught.value)

    assert "cannot be read" in broken(lambda proto: setattr(proto, "tensor_content", proto.tensor_content[:-1]))
    assert "no tensor" in broken(lambda proto: setattr(proto, "dtype", 99))
    assert "no tensor" in broken(lambda proto: setattr(proto, "dtype", 0))
    assert "shape" in broken(lambda proto: setattr(proto.tensor_shape.dim[0], "size", -1))
    assert "any shape" in broken(lambda proto: setattr(proto.tensor_shape, "unknown_rank", True))


def test_a_few_bytes_cannot_ask_for_all_memory():
    """One value of a message stands for all: TensorFlow fills the shape with it."""
    image = tf.make_tensor_proto(np.float32(1), shape=(1, 4, 4, 3))
    word = tf.make_tensor_proto(GOOD["word"])
    assert inputs.tensors({"image": image, "word": word}, SPECS)["image"].numpy().sum() == 48
    for name, proto in (("image", image), ("word", word)):
        proto.tensor_shape.dim[0].size = 10**12
        with pytest.raises(UserError, match=f"`{name}` is too large"):
            inputs.tensors({"image": image, "word": word}, SPECS)
        if name == "word":
            proto.tensor_shape.dim[0].size = 1000
            with pytest.raises(UserError, match=r"`word` is not valid. Expected 1000 strings. Received: 2"):
                inputs.tensors({"image": image, "word": word}, SPECS)
        proto.tensor_shape.dim[0].size = 1
