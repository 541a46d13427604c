"""Warm-up requests for TF Serving, which a server runs before it accepts clients.

The file is a TFRecord of `tensorflow.serving.PredictionLog` messages. TensorFlow can write the tensors in them. This
module writes the few messages around the tensors. Therefore an export does not need the package
`tensorflow-serving-api`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kvision import atomic

__all__ = ["FILE", "write"]

FILE = "assets.extra/tf_serving_warmup_requests"

# Field numbers of tensorflow_serving/apis/{prediction_log,predict,model}.proto. A map is a repeated message (key,
# value).
_PREDICT_LOG, _REQUEST = 6, 1
_MODEL_SPEC, _INPUTS = 1, 2
_SIGNATURE_NAME = 3
_KEY, _VALUE = 1, 2


def write(folder: Path, requests: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`. The requests contain no model name, because the server has it.

    Args:
        folder: The folder of the version.
        requests: The inputs of one request for each signature, by signature and by name. They are arrays of numbers, or
            arrays of `bytes` with dtype object.
    """
    import tensorflow as tf

    with atomic.file(folder / FILE) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for signature, inputs in requests.items():
            request = _field(_MODEL_SPEC, _field(_SIGNATURE_NAME, signature.encode()))
            for name, array in inputs.items():
                tensor = tf.make_tensor_proto(array).SerializeToString()
                request += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, tensor))
            writer.write(_field(_PREDICT_LOG, _field(_REQUEST, request)))


def _field(number: int, content: bytes) -> bytes:
    """Returns a length-delimited field (protobuf wire type 2). Its number is 1 to 15, so that it fits into one byte."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Returns a number with seven bits per byte, lowest bits first. The eighth bit is set if more bytes follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
