"""Decodes the tensors of a request and checks them against a signature."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvision import checks

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

__all__ = ["MESSAGE_LIMIT", "tensors"]

MESSAGE_LIMIT = 256 * 2**20  # bytes per request; the default of gRPC, 4 MiB, is enough for 6 float images of 224 pixels


def tensors(sent: "Mapping[str, TensorProto]", specs: "Mapping[str, tf.TensorSpec]") -> "dict[str, tf.Tensor]":
    """Decodes the inputs of a request.

    Args:
        sent: The tensors of the request by name.
        specs: The inputs of the signature by name.

    Returns:
        The decoded tensors by name.

    Raises:
        UserError: If an input is missing, unknown, of a wrong dtype or shape, or cannot be read. The error contains its
            name.
    """
    takes = ", ".join(f"`{name}` {_text(spec.dtype, spec.shape)}" for name, spec in specs.items())
    for name in specs:
        if name not in sent:
            raise checks.UserError(name, problem="is missing", expected=takes, received=sorted(sent))
    for name in sent:
        if name not in specs:
            raise checks.UserError(
                name, problem="is not an input of this signature", expected=takes, received=sorted(sent)
            )
    return {name: _tensor(name, sent[name], spec) for name, spec in specs.items()}


def _tensor(name: str, proto: "TensorProto", spec: "tf.TensorSpec") -> "tf.Tensor":
    import tensorflow as tf

    expected = _text(spec.dtype, spec.shape)
    try:
        dtype, shape = tf.as_dtype(proto.dtype), tf.TensorShape(proto.tensor_shape)
    except (TypeError, ValueError) as reason:
        raise checks.UserError(name, expected=expected, received=f"no tensor ({reason})") from reason
    received = _text(dtype, shape)
    if dtype != spec.dtype:
        raise checks.UserError(name, problem="has another dtype", expected=expected, received=received)
    if not shape.is_fully_defined() or not shape.is_compatible_with(spec.shape):
        raise checks.UserError(name, problem="has another shape", expected=expected, received=received)
    # A message may hold one value that is repeated for the whole tensor, so a request of a few bytes could need any
    # amount of memory.
    count = math.prod(shape.as_list())
    if count * (dtype.size or 1) > MESSAGE_LIMIT:
        raise checks.UserError(
            name, problem="is too large", expected=f"at most {MESSAGE_LIMIT} bytes", received=received
        )
    if dtype == tf.string and count != len(proto.string_val):
        raise checks.UserError(name, expected=f"{count} strings", received=len(proto.string_val))
    try:
        return tf.constant(tf.make_ndarray(proto), spec.dtype)
    except (TypeError, ValueError) as reason:
        raise checks.UserError(
            name, problem=f"cannot be read ({reason})", expected=expected, received=f"{proto.ByteSize()} bytes"
        ) from reason


def _text(dtype: "tf.DType", shape: "tf.TensorShape") -> str:
    if shape.rank is None:
        return f"{dtype.name} of any shape"
    return f"{dtype.name} ({', '.join('?' if size is None else str(size) for size in shape.as_list())})"
