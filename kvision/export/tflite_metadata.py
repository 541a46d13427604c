"""Writes a `.tflite` file with its signature, TFLite Metadata, and text files such as the class names.

Android's interpreter, ML Kit and MediaPipe Tasks read these parts to prepare photographs and to show class names.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["LABELS", "TASK", "write"]

LABELS = "labels.txt"  # one class name per line
TASK = "task.json"  # the name of the task and its facts

# Slots of the tables in TensorFlow's metadata_schema.fbs, version 1.0.0. A table is written as {slot: value}.
_MODEL_NAME, _MODEL_SUBGRAPHS, _MODEL_PARSER = 0, 3, 7
_GRAPH_INPUTS, _GRAPH_OUTPUTS = 2, 3
_TENSOR_NAME, _TENSOR_DESCRIPTION, _TENSOR_CONTENT, _TENSOR_UNITS, _TENSOR_STATS, _TENSOR_FILES = 0, 1, 3, 4, 5, 6
_CONTENT_KIND, _CONTENT = 0, 1
_UNIT_KIND, _UNIT = 0, 1
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES, _NORMALIZATION = 1, 2, 1  # members of the unions in the schema
_MAX, _MIN = 0, 1
_MEAN, _STD = 0, 1
_RGB, _AXIS_LABELS, _VALUE_LABELS = 1, 2, 3  # members of the enumerations in the schema


def write(
    path: str | Path, content: bytes, *, signature: str, output: str, texts: Mapping[str, str], side: int | None = None
) -> None:
    """Writes a TFLite model with its signature, metadata and text files.

    Args:
        path: The file to write.
        content: A flatbuffer from the converter, whose first subgraph has one output. A single input gets the name
            `image`. Several inputs keep the names that they have in the converted function.
        signature: The name of the only signature.
        output: The name of the only output. It is used in the signature, the subgraph and the metadata.
        texts: Texts by file name. They follow the flatbuffer in a zip archive, the format of TFLite Metadata for
            associated files. `labels.txt` holds the names of the values along the last axis of the output. If the
            output is a list of objects `(batch, objects, columns)`, it holds the names of the labels in its rows.
        side: For a model that takes images of any size: the height and width in pixels for programs that do not choose
            a size. Otherwise the converter writes 1, and MediaPipe shrinks photographs to one pixel.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]  # The others are the bodies of loops, such as the suppression of rotated boxes.
    (answer,) = graph.outputs
    graph.tensors[answer].name = output
    if len(graph.inputs) == 1:
        graph.tensors[graph.inputs[0]].name = "image"
    names = {index: _text(graph.tensors[index].name) for index in graph.inputs}
    if side is not None:
        for index in (*names, answer):
            if len(graph.tensors[index].shape) == 4:  # an image, or values for each pixel
                graph.tensors[index].shape = np.array([1, side, side, graph.tensors[index].shape[-1]], "int32")
    definition = schema.SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = signature, 0
    definition.inputs = [_tensor_map(schema, name, index) for index, name in names.items()]
    definition.outputs = [_tensor_map(schema, output, answer)]
    model.signatureDefs = [definition]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    labels = _VALUE_LABELS if len(graph.tensors[answer].shape) == 3 else _AXIS_LABELS
    buffer.data = np.frombuffer(_metadata([*names.values()], output, labels if LABELS in texts else None), np.uint8)
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    with Path(path).open("wb") as stream:
        stream.write(_packed(model))
    if texts:
        with zipfile.ZipFile(path, "a") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)


def _tensor_map(schema: Any, name: str, index: int) -> Any:
    found = schema.TensorMapT()
    found.name, found.tensorIndex = name, index
    return found


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _packed(model: Any) -> memoryview:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return memoryview(builder.Bytes)[builder.Head() :]


def _metadata(inputs: list[str], output: str, labels: int | None) -> bytes:
    """Returns the metadata as a flatbuffer: raw RGB pixels as `image`, numbers as output, and the class names.

    Other inputs than `image` are numbers.
    """
    import flatbuffers

    image = {
        _TENSOR_NAME: "image",
        _TENSOR_DESCRIPTION: "RGB in [0, 255], resized to the size of the tensor; scaling happens in the model",
        _TENSOR_CONTENT: {_CONTENT_KIND: _IMAGE_PROPERTIES, _CONTENT: {0: _RGB}},
        _TENSOR_UNITS: [{_UNIT_KIND: _NORMALIZATION, _UNIT: {_MEAN: [0.0], _STD: [1.0]}}],
        _TENSOR_STATS: {_MAX: [255.0], _MIN: [0.0]},
    }
    kind = {_CONTENT_KIND: _FEATURE_PROPERTIES, _CONTENT: {}}
    given = [image if name == "image" else {_TENSOR_NAME: name, _TENSOR_CONTENT: kind} for name in inputs]
    answer = {_TENSOR_NAME: output, _TENSOR_CONTENT: kind}
    if labels is not None:
        answer[_TENSOR_FILES] = [{0: LABELS, 1: "Names of the classes.", 2: labels}]
    graph = {_GRAPH_INPUTS: given, _GRAPH_OUTPUTS: [answer]}
    builder = flatbuffers.Builder()
    model = {_MODEL_NAME: "kvision", _MODEL_SUBGRAPHS: [graph], _MODEL_PARSER: "1.0.0"}
    builder.Finish(_written(builder, model), b"M001")
    return bytes(builder.Output())


def _written(builder: Any, value: Any) -> int:
    """Writes a text, a list of floats or tables, or a table `{slot: value}`, and returns its offset in the buffer."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list) and isinstance(value[0], float):
        return builder.CreateNumpyVector(np.array(value, "<f4"))
    if isinstance(value, list):
        places = [_written(builder, table) for table in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    places = {slot: _written(builder, entry) for slot, entry in value.items() if not isinstance(entry, int)}
    builder.StartObject(max(value, default=-1) + 1)
    for slot, entry in value.items():
        if isinstance(entry, int):  # A member of an enumeration or union takes one byte.
            builder.PrependUint8Slot(slot, entry, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, places[slot], 0)
    return builder.EndObject()
