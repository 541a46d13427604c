"""A request's tensors, checked against what a signature takes."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvision import checks

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

__all__ = ["MESSAGE_LIMIT", "tensors"]

MESSAGE_LIMIT = 256 * 2**20  # bytes of a request; gRPC's own limit is 4 MiB, not 7 float images of 224 px


def tensors(sent: "Mapping[str, TensorProto]", specs: "Mapping[str, tf.TensorSpec]") -> "dict[str, tf.Tensor]":
    """The inputs that `specs` asks for, decoded.

    Raises UserError, which names the input that is missing, unknown, of another dtype or shape, or cannot be read.
    """
    takes = ", ".join(f"`{name}` {_text(spec.dtype, spec.shape)}" for name, spec in specs.items())
    for name in specs:
        if name not in sent:
            raise checks.error(name, problem="is missing", expected=takes, received=sorted(sent))
    for name in sent:
        if name not in specs:
            raise checks.error(name, problem="is not an input of this signature", expected=takes, received=sorted(sent))
    return {name: _tensor(name, sent[name], spec) for name, spec in specs.items()}


def _tensor(name: str, proto: "TensorProto", spec: "tf.TensorSpec") -> "tf.Tensor":
    import tensorflow as tf

    expected = _text(spec.dtype, spec.shape)
    try:
        dtype, shape = tf.as_dtype(proto.dtype), tf.TensorShape(proto.tensor_shape)
    except (TypeError, ValueError) as reason:
        raise checks.error(name, expected=expected, received=f"no tensor ({reason})") from reason
    received = _text(dtype, shape)
    if dtype != spec.dtype:
        raise checks.error(name, problem="has another dtype", expected=expected, received=received)
    if not shape.is_fully_defined() or not shape.is_compatible_with(spec.shape):
        raise checks.error(name, problem="has another shape", expected=expected, received=received)
    # one value may stand for all: a request of a few bytes could ask for any amount of memory
    count = math.prod(shape.as_list())
    if count * (dtype.size or 1) > MESSAGE_LIMIT:
        raise checks.error(name, problem="is too large", expected=f"at most {MESSAGE_LIMIT} bytes", received=received)
    if dtype == tf.string and count != len(proto.string_val):
        raise checks.error(name, expected=f"{count} strings", received=len(proto.string_val))
    try:
        return tf.constant(tf.make_ndarray(proto), spec.dtype)
    except (TypeError, ValueError) as reason:
        raise checks.error(
            name, problem=f"cannot be read ({reason})", expected=expected, received=f"{proto.ByteSize()} bytes"
        ) from reason


def _text(dtype: "tf.DType", shape: "tf.TensorShape") -> str:
    if shape.rank is None:
        return f"{dtype.name} of any shape"
    return f"{dtype.name} ({', '.join('?' if size is None else str(size) for size in shape.as_list())})"
