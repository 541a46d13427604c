from typing import Any

import coloring
import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import number_types

from kvision.export import saved_model
from kvision.export.litert import Runner
from kvision.tasks import Colorization, Detection, Segmentation, signatures


def tables(table: flatbuffers.Table, slot: int) -> list[flatbuffers.Table]:
    """The tables in a vector at a slot."""
    start, count = table.Vector(place(table, slot) - table.Pos), table.VectorLen(place(table, slot) - table.Pos)
    return [flatbuffers.Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(count)]


def one(table: flatbuffers.Table, slot: int) -> flatbuffers.Table:
    return flatbuffers.Table(table.Bytes, table.Indirect(place(table, slot)))


def text(table: flatbuffers.Table, slot: int) -> str:
    return table.String(place(table, slot)).decode()


def byte(table: flatbuffers.Table, slot: int) -> int:
    return table.Get(number_types.Uint8Flags, place(table, slot))


def numbers(table: flatbuffers.Table, slot: int) -> list[float]:
    start, count = table.Vector(place(table, slot) - table.Pos), table.VectorLen(place(table, slot) - table.Pos)
    return [table.Get(number_types.Float32Flags, start + 4 * i) for i in range(count)]


def place(table: flatbuffers.Table, slot: int) -> int:
    offset = table.Offset(4 + 2 * slot)
    assert offset, f"nothing at slot {slot}"
    return offset + table.Pos


def flatbuffer(path) -> Any:
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


@pytest.fixture(scope="module")
def features(model, tmp_path_factory):
    return saved_model.write_tflite(
        signatures.functions(model), tmp_path_factory.mktemp("x"), "features", {"labels.txt": "a"}
    )


def test_one_subgraph_one_signature_one_output(exported, features, images):
    """What runtimes on phones ask for: they look at subgraph 0 alone, and refuse further outputs."""
    for path, signature, output, width in [
        (exported / "assets.extra/model.tflite", "predict", "probabilities", 3),
        (features, "embed", "feature", 1800),
    ]:
        lite = Interpreter(str(path))
        assert lite.num_subgraphs() == 1
        assert lite.get_signature_list() == {signature: {"inputs": ["image"], "outputs": [output]}}
        ((given,), (answer,)) = lite.get_input_details(), lite.get_output_details()
        assert given["name"] == "image" and given["shape_signature"].tolist() == [-1, 32, 32, 3]
        assert answer["name"] == output and answer["shape_signature"].tolist() == [-1, width]


def test_metadata_tell_raw_pixels_and_the_file_of_names(exported, features):
    for path, output in [(exported / "assets.extra/model.tflite", "probabilities"), (features, "feature")]:
        found = flatbuffer(path)
        entry = next(entry for entry in found.metadata if entry.name == b"TFLITE_METADATA")
        data = bytearray(found.buffers[entry.buffer].data)
        assert data[4:8] == b"M001"
        (graph,) = tables(flatbuffers.Table(data, int.from_bytes(data[:4], "little")), 3)
        ((image,), (answer,)) = tables(graph, 2), tables(graph, 3)
        assert (text(image, 0), text(answer, 0)) == ("image", output)
        assert byte(one(image, 3), 0) == 2 and byte(one(one(image, 3), 1), 0) == 1, "an image, in RGB"
        (unit,) = tables(image, 4)
        assert byte(unit, 0) == 1 and numbers(one(unit, 1), 0) == [0] and numbers(one(unit, 1), 1) == [1]
        assert numbers(one(image, 5), 0) == [255] and numbers(one(image, 5), 1) == [0]
        if output == "feature":
            assert not answer.Offset(4 + 2 * 6)
            continue
        (file,) = tables(answer, 6)
        assert text(file, 0) == "labels.txt" and byte(file, 2) == 2, "labels along an axis"


def test_the_weights_and_the_answer_are_the_converters(exported, images, expected):
    """Packing the file again moves nothing."""
    lite = Interpreter(str(exported / "assets.extra/model.tflite"))
    lite.resize_tensor_input(0, images.shape)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], images.astype("float32"))
    lite.invoke()
    np.testing.assert_allclose(lite.get_tensor(lite.get_output_details()[0]["index"]), expected, atol=1e-5)


def test_a_model_of_any_size_names_a_size_for_programs_that_ask_for_none(tmp_path):
    """The converter writes one pixel, to which MediaPipe shrinks photographs."""
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.Conv2D(3, 3, padding="same")(image)))
    lite = Interpreter(str(saved_model.write_tflite(Segmentation().functions(model), tmp_path, side=24)))
    ((given,), (answer,)) = lite.get_input_details(), lite.get_output_details()
    assert given["shape"].tolist() == [1, 24, 24, 3] and given["shape_signature"].tolist() == [-1, -1, -1, 3]
    assert answer["shape"].tolist() == [1, 24, 24, 3] and answer["shape_signature"].tolist() == [-1, -1, -1, 3]
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 24, 24, 3)).astype("float32")
    lite.allocate_tensors()
    lite.set_tensor(given["index"], pixels)
    lite.invoke()
    np.testing.assert_allclose(lite.get_tensor(answer["index"]), model(pixels), atol=1e-5)


def test_a_list_of_objects_keeps_its_shape_and_names_the_labels_in_its_rows(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    rows = keras.layers.Reshape((4, 6))(keras.layers.Dense(24)(keras.layers.GlobalMaxPooling2D()(image)))
    model = keras.Model(image, rows)
    path = saved_model.write_tflite(Detection().functions(model), tmp_path, texts={"labels.txt": "a\nb"}, side=24)
    ((given,), (answer,)) = (lite := Interpreter(str(path))).get_input_details(), lite.get_output_details()
    assert given["shape"].tolist() == [1, 24, 24, 3] and given["shape_signature"].tolist() == [1, -1, -1, 3]
    assert answer["shape"].tolist() == [1, 4, 6]
    found = flatbuffer(path)
    data = bytearray(found.buffers[next(e for e in found.metadata if e.name == b"TFLITE_METADATA").buffer].data)
    (graph,) = tables(flatbuffers.Table(data, int.from_bytes(data[:4], "little")), 3)
    (file,) = tables(tables(graph, 3)[0], 6)
    assert text(file, 0) == "labels.txt" and byte(file, 2) == 3, "labels as values"
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 20, 31, 3)).astype("float32")
    np.testing.assert_allclose(Runner(path)(pixels)["detections"], model(pixels), rtol=1e-4, atol=1e-3)


def test_several_inputs_keep_their_names(tmp_path):
    functions = Colorization().functions(coloring.model(2))
    path = saved_model.write_tflite(functions, tmp_path, texts={"task.json": "{}"}, side=64)
    runner = Runner(path)
    assert runner.inputs == {"image": (-1, -1, -1, 3), "neighbors": (-1, -1, -1, 2)} and runner.image_size is None
    random = np.random.default_rng(0)
    image, neighbors = random.uniform(0, 255, (2, 40, 56, 3)), random.uniform(0, 255, (2, 40, 56, 2))
    found = runner(image, neighbors=neighbors)["colored"]
    expected = [coloring.by_hand(one, *np.moveaxis(planes, 2, 0)) for one, planes in zip(image, neighbors, strict=True)]
    assert np.abs(found.round().clip(0, 255) - np.stack(expected)).max() <= 1
    swapped = runner(image, neighbors=neighbors[..., ::-1])["colored"]
    assert np.abs(swapped - found).max() > 10
