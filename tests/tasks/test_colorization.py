"""Networks that color pictures: as SavedModel and TFLite, at sizes that they were not made with."""

import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from processes import within
from trained_like import trained_like

import kvision as kv
from kvision import luma_chroma, sepia
from kvision.checks import UserError
from kvision.commands import predict as predict_command
from kvision.export.litert import Runner
from kvision.tasks.opened import open_model

TASK = kv.tasks.Colorization(longest_side=64, standard="bt709")
SIZES = ((48, 64), (49, 63), (100, 130))


def network(decoder: str = "hypercolumn", head: str = "bins", *, hints: bool = True) -> keras.Model:
    image = keras.Input((32, 32, 6 if hints else 3), name="image")
    x = keras.layers.Rescaling(1 / 64, -2)(image)
    for width in (4, 6, 8):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    options = {"decoder": decoder, "head": head, "widths": (8, 8), "hints": hints, "standard": "bt709"}
    made = kv.colorization.network(keras.Model(image, x, name="tiny"), **options)
    trained_like(made)
    given = {t.name: np.random.default_rng(0).uniform(0, 1, (1, 32, 32, 3)).astype("float32") for t in made.inputs}
    given = given if hints else given["image"]
    last = next(w for w in made.weights if w.path.endswith(("logits/kernel", "predict/kernel")))
    last.assign(last * 0.2 / np.asarray(kv.colorization.chroma(made)(given)).std())
    return kv.colorization.colorizer(made)


def images() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(60, 180, (*size, 3)).astype("uint8") for size in SIZES]


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model with hints, and its version."""
    model = network()
    return model, kv.export.write(model, tmp_path_factory.mktemp("color") / "models", task=TASK)


# reads an export without kvision, in a process of its own
STRANGER = """
import sys
sys.modules.update(keras=None, jax=None)
import numpy as np, tensorflow as tf
given, folder, out = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
signatures = tf.saved_model.load(folder).signatures
found = {}
for name in given.files:
    image = tf.constant(given[name][None].astype("float32"))
    found[name] = signatures["serving_default"](image=image)["colored"].numpy()
    found["hinted_" + name] = signatures["predict_hints"](image=image, hints=tf.ones_like(image) / 2)["colored"].numpy()
files = [tf.io.encode_png(given[name]).numpy() for name in given.files]
answer = signatures["serve_bytes"](image_bytes=tf.constant([*files, b"no image"]))
found["valid"] = answer["valid"].numpy()
for name, data in zip(given.files, answer["image_bytes"].numpy()):
    found["file_" + name] = tf.io.decode_png(data).numpy()
found["empty"] = signatures["predict"](image=tf.zeros((0, 48, 64, 3)))["colored"].numpy()
assert "kvision" not in sys.modules
np.savez(out, **found)
"""


def test_a_stranger_gets_the_colors_of_the_model(exported, tmp_path):
    model, version = exported
    np.savez(tmp_path / "in.npz", **{f"i{n}": image for n, image in enumerate(images())})
    paths = [tmp_path / "in.npz", version, tmp_path / "out.npz"]
    subprocess.run([sys.executable, "-c", STRANGER, *map(str, paths)], check=True, capture_output=True)
    found, lite = dict(np.load(tmp_path / "out.npz")), Runner(version / "assets.extra/model.tflite")
    assert found["valid"].tolist() == [True] * 3 + [False] and found["empty"].shape == (0, 48, 64, 3)
    for number, image in enumerate(images()):
        pixels = image[None].astype("float32")
        expected = np.asarray(model({"image": pixels, "hints": 0 * pixels}))
        hinted = np.asarray(model({"image": pixels, "hints": 0 * pixels + 0.5}))
        np.testing.assert_allclose(found[f"i{number}"], expected, atol=0.02)
        np.testing.assert_allclose(lite(image[None])["colored"], expected, atol=0.02)
        np.testing.assert_allclose(found[f"hinted_i{number}"], hinted, atol=0.02)
        assert np.abs(hinted - expected).max() > 1 and np.ptp(expected, axis=-1).max() > 5
        small = kv.colorization.colorize(model, image, longest_side=64)
        # Pillow and the graph resize noise to levels that differ by one, and the network enlarges the difference.
        assert np.abs(found[f"file_i{number}"].astype(int) - small).mean() < 3


def test_both_engines_answer_alike_and_keep_the_brightness(exported):
    gray = np.repeat(np.random.default_rng(0).integers(80, 170, (100, 130, 1)), 3, 2).astype("uint8")
    for image, name in ((gray, "gray"), (sepia.sepia(gray), "sepia")):
        answers = [next(open_model(exported[1], engine=e).answers([png(image)])) for e in ("tflite", "tensorflow")]
        first, second = (answer.parts[0].image.astype(int) for answer in answers)
        assert np.abs(first - second).mean() < 3 and first.shape == image.shape
        assert np.ptp(first, axis=-1).mean() > 10, "control: the pictures have colors that could differ"
        assert [answer.row["tone"] for answer in answers] == [name] * 2
        off = np.abs(luma_chroma.luma(first, "bt709") - gray[..., :1])
        assert (off > 1).mean() <= answers[0].row["clipped"] + 0.02 < 0.5
        pair = np.asarray(Image.open(io.BytesIO(answers[0].parts[1].pictures()["before_after"])))
        np.testing.assert_array_equal(pair, np.concatenate([image, first], 1))


def test_predict_writes_the_colored_picture_without_tensorflow(exported, tmp_path):
    (tmp_path / "old.png").write_bytes(png(images()[0]))
    file = exported[1] / "assets.extra/model.tflite"
    code = f"""
import sys
from kvision.commands import predict
assert predict.main([{str(file)!r}, {str(tmp_path / "old.png")!r}, "--out", {str(tmp_path)!r}]) == 0
assert not [m for m in ("tensorflow", "keras") if m in sys.modules]
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "old.picture.png" in result.stdout
    for kind, size in {"picture": (64, 48), "before_after": (128, 48)}.items():
        with Image.open(tmp_path / f"old.{kind}.png") as found:
            assert found.size == size
    printed = within(predict_command.main, exported[1], tmp_path / "old.png", "--json", "--out", tmp_path)
    assert set(json.loads(printed.stdout)[0]) >= {"tone", "colorfulness", "clipped", "picture"}


def test_facts_and_differences(exported):
    facts = json.loads((exported[1] / "assets.extra/task.json").read_text())
    assert kv.tasks.Colorization.from_facts(facts, None) == TASK
    for wrong in ({"longest_side": "9"}, {"longest_side": 0}, {"standard": "lab"}, {"standard": None}):
        with pytest.raises(ValueError, match=r"longest_side|standard"):
            kv.tasks.Colorization.from_facts({**facts, **wrong}, None)
    case = TASK.cases(exported[0])[0]
    assert not TASK.differences(case.expected, case.expected)
    moved = {"colored": case.expected["colored"] + 1}
    assert TASK.differences(moved, case.expected) and TASK.differences({}, case.expected)
    served = next(case for case in TASK.cases(exported[0]) if case.signature == "serve_bytes")
    files = np.array([png(served.expected[f"colored_{n}"]) for n in range(len(served.expected))], object)
    right = {"image_bytes": files, "valid": np.ones(len(files), bool)}
    assert not TASK.differences(right, served.expected)
    assert TASK.differences({**right, "image_bytes": files[::-1]}, served.expected)
    assert TASK.differences({**right, "valid": ~right["valid"]}, served.expected)


def test_measure_of_two_files():
    test = kv.data.pictures_of(np.stack([image[:48, :63] for image in images()]))
    table = TASK.measure({"a": lambda x: {"colored": x}, "b": lambda x: {"colored": x * 0 + 90}}, test)
    assert table["a"]["chroma_psnr"] == 100 and table["a"]["agreement"] == 1 and table["a"]["images"] == 3
    assert table["b"]["chroma_psnr"] < 30 and table["b"]["agreement"] < 0.1


def test_models_that_do_not_color_are_refused(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    wrong = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
    bright = keras.Model(image, keras.layers.Rescaling(2.0)(image))
    named = keras.Input((None, None, 3), name="picture")
    for model in (wrong, keras.Model(named, keras.layers.ReLU()(named))):
        with pytest.raises(UserError, match="`model` does not color"):
            TASK.check(model)
    with pytest.raises(UserError, match="`model` returns values that are no colors"):
        TASK.cases(bright)
    with pytest.raises(UserError, match="`outputs`"):
        TASK.decode({"probabilities": np.zeros(3)}, png(images()[0]))


@pytest.mark.slow
@pytest.mark.parametrize("decoder", kv.colorization.DECODERS)
@pytest.mark.parametrize("head", kv.colorization.HEADS)
def test_every_network_is_exported(decoder, head, tmp_path):
    model = network(decoder, head, hints=False)
    kv.export.write(model, tmp_path / "models", task=kv.tasks.Colorization(standard="bt709"))
