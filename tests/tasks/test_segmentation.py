"""Networks with a label for each pixel: as SavedModel and TFLite, at sizes that they were not made with."""

import io
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from processes import within
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError
from kvision.commands import predict as predict_command
from kvision.export.litert import Runner
from kvision.pixels import pillow
from kvision.tasks import segmentation

LABELS = ["a", "größer", "c", "d"]
TASK = kv.tasks.Segmentation(LABELS)
SAVED_MODEL = ("--engine", "tensorflow")
SIZES = ((96, 128), (97, 129), (131, 101))


def network(name: str | None = None, **options) -> keras.Model:
    if name is None:
        image = keras.Input((32, 32, 3), name="image")
        x = keras.layers.Rescaling(1 / 64, -2)(image)
        for width in (4, 6, 8):
            x = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
        backbone = keras.Model(image, x, name="tiny")
    else:
        backbone = kv.backbones.create(name, image_size=max(64, kv.backbones.info(name).smallest_size))
    model = spread(trained_like(kv.decoders.unet(backbone, 4, **{"widths": (8, 8, 8, 8, 8), **options})))
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(model.input, softmax(model.output), name=model.name)


def spread(model: keras.Model) -> keras.Model:
    """Logits around 0 and of the size 1, as a trained network's: of thousands, rounding alone moves probabilities."""
    found = np.asarray(model(images()[0][None].astype("float32"), training=False))
    mean, size = found.mean(axis=(0, 1, 2)), found.std(axis=(0, 1, 2))
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel / size, (bias - mean) / size])
    return model


def images() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3)).astype("uint8") for size in SIZES]


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


# reads an export without kvision, in a process of its own: probabilities and masks of the images in an .npz
STRANGER = """
import sys
sys.modules.update(keras=None, jax=None)
import numpy as np, tensorflow as tf
given, folder, out = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
signatures = tf.saved_model.load(folder).signatures
found = {}
for name in given.files:
    answer = signatures["serving_default"](image=tf.constant(given[name][None].astype("float32")))
    found[name] = answer["probabilities"].numpy()
rows = [tf.io.encode_png(given[name]).numpy() for name in given.files]
answer = signatures["serve_bytes"](image_bytes=tf.constant([*rows, b"no image"]))
found["valid"] = answer["valid"].numpy()
for name, mask in zip(given.files, answer["mask_bytes"].numpy()):
    found["mask_" + name] = tf.io.decode_png(mask).numpy()[..., 0]
found["last"] = np.frombuffer(answer["mask_bytes"].numpy()[-1], np.uint8)
assert "kvision" not in sys.modules
np.savez(out, **found)
"""


def read_by_a_stranger(folder, tmp_path) -> dict[str, np.ndarray]:
    np.savez(tmp_path / "in.npz", **{f"i{n}": image for n, image in enumerate(images())})
    paths = [tmp_path / "in.npz", folder, tmp_path / "out.npz"]
    subprocess.run([sys.executable, "-c", STRANGER, *map(str, paths)], check=True, capture_output=True)
    return dict(np.load(tmp_path / "out.npz"))


def answers_alike(model: keras.Model, folder, tmp_path) -> None:
    """SavedModel in another process and TFLite equal Keras at three odd sizes; masks are the largest probability's."""
    found, lite = read_by_a_stranger(folder, tmp_path), Runner(folder / "assets.extra/model.tflite")
    assert found["valid"].tolist() == [True] * 3 + [False] and found["last"].size == 0
    for number, image in enumerate(images()):
        expected = np.asarray(model(image[None].astype("float32"), training=False))
        for probabilities in (found[f"i{number}"], lite(image[None])["probabilities"]):
            np.testing.assert_allclose(probabilities, expected, atol=1e-4)
        assert expected.std() > 1e-3 and len(np.unique(expected.argmax(-1))) > 1
        sure = np.diff(np.sort(expected[0], axis=-1)[..., -2:], axis=-1)[..., 0] > 1e-3
        np.testing.assert_array_equal(found[f"mask_i{number}"][sure], expected[0].argmax(-1)[sure])


@pytest.mark.parametrize(
    "up",
    [u if u == "unpool" else pytest.param(u, marks=pytest.mark.slow) for u in kv.decoders.UPSCALINGS],
)
def test_every_way_up(up, tmp_path):
    model = network(up=up)
    answers_alike(model, kv.export.write(model, tmp_path / "models", task=TASK), tmp_path)


# the smallest of each family; without one that takes any size: NASNet, CSPDarkNet (even ones); without a pyramid: ViT
FAMILIES = ("MobileNetV3Small", "EfficientNetLite0", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "VGG16")
FAMILIES += ("DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny", "InceptionV3", "InceptionResNetV2")
FAMILIES += ("Xception", "ResNet20", "Plain20", "AlexNet", "GoogLeNet", "ResNet18V2")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_families(name, tmp_path):
    model = network(name)
    answers_alike(model, kv.export.write(model, tmp_path / "models", task=TASK), tmp_path)


@pytest.mark.parametrize("name", [pytest.param("NASNetMobile", marks=pytest.mark.slow), "CSPDarkNetTiny", "ViTTiny16"])
def test_families_without_a_decoder_are_named(name):
    with pytest.raises(UserError, match="`backbone`"):
        network(name)


@pytest.mark.slow
def test_fcn(tmp_path):
    backbone = kv.backbones.create("EfficientNetLite0", image_size=64)
    model = trained_like(kv.decoders.fcn(backbone, 4, hidden=16))
    model = keras.Model(model.input, keras.layers.Softmax(name="probabilities")(model.output), name="fcn")
    answers_alike(model, kv.export.write(model, tmp_path / "models", task=TASK), tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A version whose network sees 48 pixels at most, and its Keras model."""
    model = network()
    folder = tmp_path_factory.mktemp("dense") / "models"
    colors = [(1, 2, 3), (4, 5, 6), (200, 0, 0), (0, 200, 0)]
    return model, kv.export.write(model, folder, task=kv.tasks.Segmentation(LABELS, 48, colors))


def in_a_process(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "kvision", "predict", *map(str, arguments)], capture_output=True, text=True
    )


def predict(*arguments) -> subprocess.CompletedProcess:
    return within(predict_command.main, *arguments)


def test_predict_draws_the_same_mask_from_both_files(exported, tmp_path, capsys):
    model, version = exported
    photograph = tmp_path / "großes photo.png"
    image = np.asarray(Image.fromarray(images()[0]).resize((200, 120), Image.Resampling.BICUBIC))
    photograph.write_bytes(png(image))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    expected = kv.segmentation.predict(model, image, longest_side=48)
    ways = [(in_a_process, version.parent, ()), (predict, version, SAVED_MODEL)]
    for number, (run, path, engine) in enumerate(ways):
        out = tmp_path / f"out{number}"
        result = run(path, photograph, tmp_path / "broken.jpg", "--json", "--out", out, *engine)
        assert result.returncode == 1, result.stderr
        row, broken = json.loads(result.stdout)
        assert "error" in broken and list(row["shares"]) == LABELS and sum(row["shares"].values()) == pytest.approx(1)
        mask = Image.open(row["mask"])
        assert mask.mode == "P" and mask.size == (200, 120) and mask.getpalette()[:6] == [1, 2, 3, 4, 5, 6]
        agreement = (np.asarray(mask) == expected).mean()
        assert agreement > 0.99, "a level of a resized image may turn what is nearly tied"
        overlay = np.asarray(Image.open(row["overlay"]), "float64")
        table = np.array([(1, 2, 3), (4, 5, 6), (200, 0, 0), (0, 200, 0)])
        np.testing.assert_allclose(overlay, (image + table[np.asarray(mask)]) / 2, atol=0.51)
    assert predict_command.main([str(version), str(photograph), "--out", str(tmp_path / "out2")]) == 0
    assert "großes photo.overlay.png" in capsys.readouterr().out


def test_predict_with_a_crf_sharpens_what_a_tflite_answers(exported, tmp_path):
    model, version = exported
    image = images()[0][:40, :44]  # the network sees it in its own size
    (tmp_path / "x.png").write_bytes(png(image))
    result = predict(version, tmp_path / "x.png", "--json", "--crf", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    mask = np.asarray(Image.open(json.loads(result.stdout)[0]["mask"]))
    probabilities = np.asarray(model(image[None].astype("float32"), training=False))[0]
    expected = kv.segmentation.dense_crf(probabilities, image).argmax(axis=2)
    assert (mask == expected).mean() > 0.99 > (mask == probabilities.argmax(axis=2)).mean()
    result = predict(version, tmp_path / "x.png", "--crf", *SAVED_MODEL, "--out", tmp_path)
    assert result.returncode == 2 and "`--crf` needs probabilities" in result.stderr
    result = predict(version, tmp_path / "x.png", "--crf", "--tile", "32", "--out", tmp_path)
    assert result.returncode == 2 and "`--crf`" in result.stderr


def test_after_a_crf_a_few_pixels_may_differ():
    random = np.random.default_rng(0)
    expected = {"probabilities": random.dirichlet(np.ones(3), (1, 50, 60))}
    few, many = (expected["probabilities"].copy() for _ in range(2))
    few[0, 0, :2] = many[0, :1] = 1 / 3
    small = expected["probabilities"] + 1e-3
    plain, with_crf = kv.tasks.Segmentation(), kv.tasks.Segmentation(crf_inside=True)
    for found, problems in ((few, (1, 0)), (many, (1, 1)), (small, (1, 0)), (small + 0.02, (1, 1))):
        counts = tuple(len(task.differences({"probabilities": found}, expected)) for task in (plain, with_crf))
        assert counts == problems


def test_two_images_of_one_name_are_both_kept(exported, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(png(images()[0]))
    path = exported[1] / "assets.extra/model.tflite"
    result = predict(path, tmp_path / "a/x.png", tmp_path / "b/x.png", "--json", "--out", tmp_path / "out")
    assert len({row["mask"] for row in json.loads(result.stdout)}) == 2 and len([*(tmp_path / "out").iterdir()]) == 4
    (tmp_path / "file").write_text("")
    result = predict(path, tmp_path / "a/x.png", "--out", tmp_path / "file")
    assert result.returncode == 2 and "`--out` cannot be written to" in result.stderr


def test_a_tflite_is_read_without_tensorflow(exported, tmp_path):
    (tmp_path / "x.png").write_bytes(png(images()[0]))
    path = exported[1] / "assets.extra/model.tflite"
    code = (
        "import sys; from kvision import cli\n"
        f"assert cli.main(['predict', {str(path)!r}, {str(tmp_path / 'x.png')!r}, '--out', {str(tmp_path)!r}]) == 0\n"
        "print([m for m in ('tensorflow', 'keras', 'sklearn', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_facts_of_a_stranger_are_not_believed(exported, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(exported[1], moved)
    (tmp_path / "x.png").write_bytes(png(images()[0]))
    for text in (
        "{",
        "[]",
        '{"longest_side": -1, "colors": [[0, 0, 0]]}',
        '{"longest_side": null, "colors": [[NaN, 0, 0]]}',
        '{"longest_side": null, "colors": [[0, 999, 0]]}',
    ):
        text = text.replace("{", '{"task": "segmentation", ', 1) if "}" in text else text
        (moved / "assets.extra/task.json").write_text(text)
        assert predict_command.main([str(moved), str(tmp_path / "x.png"), *SAVED_MODEL, "--out", str(tmp_path)]) == 2
        assert "task.json that cannot be used" in capsys.readouterr().err, text


def test_what_differs_is_not_written(tmp_path):
    model = network()

    class Wrong(kv.tasks.Segmentation):
        def functions(self, model):
            import tensorflow as tf

            functions = super().functions(model)
            spec = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
            return {"predict": tf.function(lambda image: functions["predict"](image + 9), [spec], autograph=False)}

    with pytest.raises(RuntimeError, match="probabilities differ by"):
        kv.export.write(model, tmp_path, task=Wrong(LABELS))
    assert not [*tmp_path.glob("[0-9]*")]


def test_refusals(tmp_path):
    model = network()
    with pytest.raises(UserError, match=r"`tflite` is not available for segmentation"):
        kv.export.write(model, tmp_path, task=TASK, tflite=("float16",))
    with pytest.raises(UserError, match=r"`labels`.*4 names"):
        kv.export.write(model, tmp_path, task=kv.tasks.Segmentation(["a"]))
    with pytest.raises(UserError, match=r"`colors`.*4 colors"):
        kv.export.write(model, tmp_path, task=kv.tasks.Segmentation(colors=[(0, 0, 0)]))
    fixed = keras.Model(image := keras.Input((32, 32, 3), name="image"), keras.layers.Conv2D(2, 1)(image))
    with pytest.raises(UserError, match=r"`model`.*\(batch, None, None, classes\)"):
        kv.export.write(fixed, tmp_path, task=kv.tasks.Segmentation())


def test_the_largest_of_any_scores_as_pillow_finds_it():
    import tensorflow as tf

    scores = np.random.default_rng(0).normal(-900, 200, (9, 11, 4)).astype("float32")
    assert (scores.max(axis=2) < -1).all(), "logits; a search that starts at -1 finds none of them"
    for size in [(9, 11), (20, 31)]:
        found = segmentation._largest(tf.constant(scores), tf.constant(size)).numpy()
        assert (found == pillow.largest(scores, size)).mean() > 0.99 and len(np.unique(found)) == 4


def test_measure():
    """Two constant files against masks of two halves."""

    class Halves:
        class_names, longest_side = ("left", "right"), None

        def __len__(self):
            return 2

        def mask(self, i):
            return np.repeat([[0, 0, 1, 1]], 4, axis=0).astype("uint8")

        def original(self, i):
            return np.zeros((4, 4, 3), "uint8")

    def right(images):
        return {"probabilities": np.eye(2, dtype="float32")[Halves().mask(0)][None]}

    def left(images):
        return {"probabilities": np.eye(2, dtype="float32")[np.zeros((1, 4, 4), int)]}

    table = kv.tasks.Segmentation().measure({"float32": right, "float16": left}, Halves())
    assert table["float32"]["mean_iou"] == 1 and table["float32"]["agreement"] == 1
    assert table["float16"]["mean_iou"] == 0.25 and table["float16"]["agreement"] == 0.5, "IoU 1/2 and 0"
