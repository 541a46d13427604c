import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.features import engines
from kvision.features.fastest import Chosen

SIZE = 32
embed_module = sys.modules["kvision.features.embed"]  # `kv.features.embed` is the function


def network(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = kv.layers.Preprocess("tf")(image)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="small")


def cache_key(model, images, engine: str) -> str:
    return embed_module._entry(Path(), embed_module._fingerprint(model, images), engine).stem


def photographs(count: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype="uint8")


@pytest.mark.parametrize("engine", ["keras", "litert", "openvino"])
def test_engines_equal_the_model_and_keep_the_order(engine):
    if engine == "openvino":
        pytest.importorskip("openvino", reason="extra `openvino`")
    model, images = network(), photographs()
    features = kv.features.embed(model, images, batch_size=3, engine=engine, progress=False)
    assert features.dtype == np.float32 and features.shape == (7, 4)
    np.testing.assert_allclose(features, model(images.astype("float32"), training=False), atol=1e-4)
    assert np.abs(features - model(images.astype("float32"), training=True)).max() > 1e-2, "control: dropout shows"


def test_iterables_of_arrays_tuples_and_kvision_images():
    model, images = network(), photographs()
    expected = kv.features.embed(model, images, progress=False)
    batches = [images[:4], images[4:]]
    np.testing.assert_allclose(kv.features.embed(model, batches, progress=False), expected, atol=1e-6)
    pairs = [(batch, np.zeros(len(batch))) for batch in batches]
    np.testing.assert_allclose(kv.features.embed(model, pairs, progress=False), expected, atol=1e-6)
    stream = kv.data.from_arrays(images, image_size=SIZE, batch_size=4)
    np.testing.assert_allclose(kv.features.embed(model, stream, progress=False), expected, atol=1e-6)


def test_cache_runs_the_network_once(tmp_path, monkeypatch):
    model, images = network(), photographs()
    first = kv.features.embed(model, images, cache=tmp_path, progress=False)
    monkeypatch.setattr(engines, "start", lambda *_, **__: pytest.fail("the network ran again"))
    np.testing.assert_array_equal(kv.features.embed(model, images, cache=tmp_path, progress=False), first)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("engine", ["keras", "litert"])
def test_several_sets_start_one_engine(tmp_path, monkeypatch, engine):
    model, sets = network(), [photographs()[:5], photographs()[5:], photographs(3)]
    expected = [kv.features.embed(model, images, batch_size=4, engine=engine, progress=False) for images in sets]
    starts, start = [], engines.start
    monkeypatch.setattr(engines, "start", lambda *a, **k: (starts.append(k["batch_size"]), start(*a, **k))[1])
    options = {"batch_size": 4, "engine": engine, "cache": tmp_path, "progress": False}
    for _ in range(2):  # the second time out of the cache
        found = kv.features.embed_each(model, sets, **options)
        assert starts == [4]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    kv.features.embed_each(model, sets[1:], **{**options, "cache": None})
    assert starts == [4, 2, 3], "a larger batch needs another start"


def test_key_changes_with_whatever_changes_the_features():
    model, images = network(), photographs()
    key = cache_key(model, images, "keras")
    assert cache_key(network(), images, "keras") == key, "the same network, built again"

    one_pixel = images.copy()
    one_pixel[3, 2, 1, 0] ^= 1
    one_weight = network()
    kernel, bias = one_weight.get_layer("conv").get_weights()
    one_weight.get_layer("conv").set_weights([kernel, np.nextafter(bias, 1)])
    statistics = network()
    statistics.get_layer("bn").set_weights([w + 1e-3 for w in statistics.get_layer("bn").get_weights()])
    preprocessing = network()
    preprocessing.layers[1].mode = "caffe"
    small = kv.data.from_arrays(images, image_size=SIZE)
    others = [
        cache_key(model, one_pixel, "keras"),
        cache_key(model, images[::-1], "keras"),
        cache_key(model, images.astype("float32"), "keras"),
        cache_key(model, images, "litert"),
        cache_key(one_weight, images, "keras"),
        cache_key(statistics, images, "keras"),
        cache_key(preprocessing, images, "keras"),
        cache_key(model, small, "keras"),
        cache_key(model, kv.data.from_arrays(images, image_size=SIZE * 2), "keras"),
    ]
    assert len({key, *others}) == len(others) + 1


def test_automatic_names_are_not_content():
    def unnamed() -> keras.Model:
        image = keras.Input((SIZE, SIZE, 3), name="image")
        x = keras.layers.Conv2D(2, 3, kernel_initializer="ones")(image)
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="unnamed")

    first, second = unnamed(), unnamed()
    assert first.layers[1].name != second.layers[1].name
    assert cache_key(first, photographs(), "keras") == cache_key(second, photographs(), "keras")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_torn_cache_is_made_again(tmp_path, capsys, damage):
    model, images = network(), photographs()
    expected = kv.features.embed(model, images, cache=tmp_path, progress=False)
    (entry,) = tmp_path.iterdir()
    content = entry.read_bytes()
    middle = len(content) // 2
    entry.write_bytes(
        {
            "cut": content[:middle],
            "flip": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
            "empty": b"",
            "text": b"not a zip",
        }[damage]
    )
    np.testing.assert_array_equal(kv.features.embed(model, images, cache=tmp_path, progress=False), expected)
    assert "damaged" in capsys.readouterr().out
    np.testing.assert_array_equal(kv.features.embed(model, images, cache=tmp_path, progress=False), expected)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "features",
    [np.zeros((3, 2), "float32"), np.zeros((9, 9)), np.array(1.0), np.array([object()]), np.array("text"), None],
    ids=lambda features: str(getattr(features, "dtype", "compressed")),
)
def test_a_foreign_cache_is_made_again(tmp_path, capsys, features):
    model, images = network(), photographs()
    expected = kv.features.embed(model, images, cache=tmp_path, progress=False)
    (entry,) = tmp_path.iterdir()
    if features is None:
        np.savez_compressed(entry, features=expected)
    else:
        np.savez(entry, features=features)
    np.testing.assert_array_equal(kv.features.embed(model, images, cache=tmp_path, progress=False), expected)
    assert "are damaged" in capsys.readouterr().out


BROKEN = np.full((4, SIZE, SIZE, 3), [[[[1]]], [[[2]]], [[[3]]], [[[np.nan]]]], "float32")


def test_bad_input_is_named():
    model = network()
    for images, text in [
        (photographs() / 255.0, r"scaled to \[0, 1\]"),
        (np.zeros((2, SIZE + 1, SIZE, 3), "uint8"), "another shape"),
        (np.zeros((SIZE, SIZE, 3), "uint8"), "another shape"),
        (np.zeros((0, SIZE, SIZE, 3), "uint8"), "are empty"),
        ([], "are empty"),
        (BROKEN, "NaN or infinity in image 3"),
        ([BROKEN[:2], BROKEN[2:]], "NaN or infinity in image 3"),
        ([(photographs() / 255.0, 0)], r"scaled to \[0, 1\]"),
        ("folder", "kv.data.from_folder"),
    ]:
        with pytest.raises(UserError, match=text):
            kv.features.embed(model, images, progress=False)
    with pytest.raises(UserError, match="pooling"):
        kv.features.embed(kv.backbones.create("MobileNetV2", image_size=32), photographs())
    with pytest.raises(UserError, match="fingerprint"):
        kv.features.embed(model, [photographs()], cache="unused")
    with pytest.raises(UserError, match="Did you mean 'litert'"):
        kv.features.embed(model, photographs(), engine="liter")


def test_auto_takes_the_engine_that_was_fastest_for_all_sets_and_says_so(monkeypatch, capfd):
    model, sets, asked = network(), [photographs(), photographs(4)], []

    def fastest(model, batch, batches):
        asked.append((len(batch), batches))
        return Chosen("litert", engines.start(model, "keras", batch_size=len(batch)), {"keras": 1.0, "litert": 2.0})

    monkeypatch.setattr(embed_module, "fastest", fastest)
    expected = [kv.features.embed(model, images, engine="keras", progress=False) for images in sets]
    for images, batches in [
        (sets[0], 5),
        ([sets[0][:4], sets[0][4:]], 3),
        ((batch for batch in [sets[0]]), float("inf")),
    ]:
        for found, wanted in zip(kv.features.embed_each(model, [images, sets[1]], batch_size=3), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-4)
        assert asked.pop()[1] == batches
    shown = capfd.readouterr().err
    assert "engine litert (keras 1, litert 2 images a second)" in shown and "features (litert)" in shown


def test_auto_finds_what_any_engine_left_in_the_cache(tmp_path, monkeypatch):
    model, images, few = network(), photographs(), photographs(3)
    first = kv.features.embed(model, images, engine="litert", cache=tmp_path, progress=False)
    monkeypatch.setattr(embed_module, "fastest", lambda *_: pytest.fail("engines were timed"))
    np.testing.assert_array_equal(kv.features.embed(model, images, cache=tmp_path, progress=False), first)
    started, start = [], engines.start
    monkeypatch.setattr(engines, "start", lambda *a, **k: (started.append(a[1]), start(*a, **k))[1])
    kv.features.embed_each(model, [images, few], cache=tmp_path, progress=False)
    assert started == ["litert"], "the few that were missing are made by the same engine"
    many = np.concatenate([images + 1, images + 2])
    monkeypatch.setattr(
        embed_module, "fastest", lambda model, batch, _: Chosen("keras", start(model, "keras", batch_size=1))
    )
    kv.features.embed_each(model, [images, many], cache=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 4, "where most are missing the fastest engine makes all"
