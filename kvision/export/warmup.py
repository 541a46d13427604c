"""TF Serving's warm-up file: requests that a server answers for itself before it lets clients in.

A TFRecord of `tensorflow.serving.PredictionLog` messages. TensorFlow has the tensors inside them; the few messages
around those are nothing but fields with a length, written here, so that an export needs no package of TF Serving.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kvision import atomic

__all__ = ["FILE", "write"]

FILE = "assets.extra/tf_serving_warmup_requests"

# field numbers of tensorflow_serving/apis/{prediction_log,predict,model}.proto; a map is a repeated (key, value)
_PREDICT_LOG, _REQUEST = 6, 1
_MODEL_SPEC, _INPUTS = 1, 2
_SIGNATURE_NAME = 3
_KEY, _VALUE = 1, 2


def write(folder: Path, requests: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes `folder/assets.extra/tf_serving_warmup_requests`.

    requests: {signature: {input: array of numbers, or of `bytes` with dtype object}}, one request each, in this order.
    The model's name stays open: the server knows it, not the export.
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
    """A length-delimited field (protobuf wire type 2); number: 1 to 15, which fit one byte."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
