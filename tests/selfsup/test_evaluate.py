import random
import sys
from pathlib import Path

import forks
import keras
import numpy as np
import pytest
import trainings
from sklearn.preprocessing import StandardScaler

import kvision as kv
from kvision.checks import UserError

IMAGES, LABELS, NAMES = kv.data.digits()


def digits(rows: slice) -> kv.data.Images:
    return kv.data.from_arrays(IMAGES[rows], LABELS[rows], class_names=NAMES, image_size=16, batch_size=64)


TRAIN, TEST = digits(slice(0, 300)), digits(slice(300, 500))


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(1)
    return trainings.encoder()


@pytest.fixture(scope="module")
def found(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    evaluation = kv.selfsup.evaluate(encoder, TRAIN, TEST, epochs=12, cache=folder, progress=False)
    assert len(list(folder.iterdir())) == 2, "each set is embedded once"
    return evaluation


def test_its_numbers_are_those_of_its_parts(encoder, found):
    bank, features = kv.features.embed_each(encoder, [TRAIN, TEST], progress=False)
    assert found.knn == kv.selfsup.knn_accuracy(bank, TRAIN.labels, features, TEST.labels)
    near = {"n_neighbors": 20, "temperature": 0.07}
    assert found.knn_near == kv.selfsup.knn_accuracy(bank, TRAIN.labels, features, TEST.labels, **near)
    assert found.knn_near != found.knn
    assert found.knn_interval == kv.metrics.accuracy_interval(round(200 * found.knn), 200)
    probe = found.probe
    expected = (probe.accuracy, probe.interval, probe.learning_rate)
    assert (found.linear, found.linear_interval, found.learning_rate) == expected
    assert found.uniformity == kv.selfsup.uniformity(features) and found.spread == kv.selfsup.spread(features)
    assert (found.train_count, found.test_count) == (300, 200) and found.alignment is None


def test_alignment_is_of_two_views_of_each_test_image(encoder, monkeypatch):
    monkeypatch.setattr(sys.modules["kvision.selfsup.evaluate"], "_BATCH", 64)
    options = {"epochs": 1, "progress": False}
    view = kv.augment.View([kv.augment.RandomResizedCrop(16, area=(0.3, 1.0))])
    pair = np.concatenate([batch for batch, _ in TEST]), TEST.labels
    found, again = (
        kv.selfsup.evaluate(encoder, TRAIN, test, view=view, seed=3, **options).alignment for test in (TEST, pair)
    )
    assert found == pytest.approx(again, rel=1e-5), "the same draws for images and for arrays"
    parts = []
    for number in (0, 1):
        keys = kv.augment.fold(kv.augment.fold([3, number], 0), np.arange(4))
        drawn = [np.asarray(view(batch, key=key)) for key, (batch, _) in zip(keys, TEST, strict=True)]
        parts.append(kv.features.embed(encoder, np.concatenate(drawn), engine="keras", progress=False))
    assert found == pytest.approx(kv.selfsup.alignment(*parts), rel=1e-4)
    same = kv.selfsup.evaluate(encoder, TRAIN, TEST, view=kv.augment.View([Still()]), **options).alignment
    assert same is not None and same < 1e-9 < found, "views that do not differ"


class Still(kv.augment.Keyed):
    def transform(self, images, key):
        return images


def test_a_random_network_is_far_above_chance_and_the_probe_near_the_best_linear_head(encoder, found):
    assert found.linear > 0.3 and found.knn_near > 0.2
    best = kv.heads.LogisticHead(1.0).fit(kv.features.embed(encoder, TRAIN, progress=False), TRAIN.labels)
    assert found.linear >= best.score(kv.features.embed(encoder, TEST, progress=False), TEST.labels) - 0.05


def test_encoder_and_probe_make_one_model(encoder, found):
    model = kv.transfer.attach(encoder, found.probe)
    images = np.concatenate([batch for batch, _ in TEST])
    probabilities = model.predict(images, verbose=0)
    assert (probabilities.argmax(axis=1) == TEST.labels).mean() == pytest.approx(found.linear, abs=1 / 200)
    features = kv.features.embed(encoder, images, progress=False)
    np.testing.assert_allclose(probabilities, found.probe.to_layer()(features), atol=1e-5)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Body", "Chain"]


def test_what_is_no_labeled_set_is_refused(encoder):
    with pytest.raises(UserError, match=r"`train` .*kv.data.Images"):
        kv.selfsup.evaluate(encoder, IMAGES, TEST)
    with pytest.raises(UserError, match=r"`view` .*one view.*MultiView"):
        kv.selfsup.evaluate(encoder, TRAIN, TEST, view=kv.augment.MultiView({"a": Still()}))
    with pytest.raises(UserError, match=r"`test` .*200 integer"):
        kv.selfsup.evaluate(encoder, TRAIN, (np.zeros((200, 16, 16, 3), "uint8"), LABELS[:3]))


def kernel(model) -> np.ndarray:
    return model.get_layer("conv").get_weights()[0]


def test_untrained_is_the_same_network_with_weights_of_the_seed(encoder):
    keras.utils.set_random_seed(5)
    expected = [random.random(), float(keras.random.uniform(()))]
    keras.utils.set_random_seed(5)
    one, same, other = (kv.selfsup.untrained(encoder, seed) for seed in (0, 0, 1))
    assert [random.random(), float(keras.random.uniform(()))] == expected, "the program's random numbers go on"
    np.testing.assert_array_equal(kernel(one), kernel(same))
    for a, b in ((one, other), (one, encoder)):
        assert np.abs(kernel(a) - kernel(b)).max() > 0.01
    assert one.input_shape == encoder.input_shape and one.output_shape == encoder.output_shape
    assert kernel(one).std() == pytest.approx(kernel(encoder).std(), rel=0.3)


def test_untrained_keeps_constants_that_were_measured_and_forgets_statistics_that_were_learned():
    image = keras.Input((4, 4, 3), name="image")
    scale = keras.layers.Normalization(name="scale")
    x = keras.layers.BatchNormalization(name="bn")(scale(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x))
    pixels = np.random.default_rng(0).normal(100, 30, (50, 4, 4, 3)).astype("float32")
    scale.adapt(pixels)
    model.get_layer("bn").moving_mean.assign([1.0, 2.0, 3.0])
    fresh = kv.selfsup.untrained(model)
    expected = StandardScaler().fit_transform(pixels.reshape(-1, 3)).reshape(pixels.shape).mean(axis=(1, 2))
    np.testing.assert_allclose(fresh(pixels), expected, atol=2e-3)  # BatchNorm's epsilon
    assert np.abs(np.asarray(model(pixels)) - expected).max() > 0.5


JAX = """
import sys

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ImportError("no TensorFlow here")

sys.meta_path.insert(0, NoTensorFlow())
sys.path.insert(0, sys.argv[1])
import keras, numpy as np
import kvision as kv
import trainings

assert keras.backend.backend() == "jax"
images, labels, _ = kv.data.digits()
data = [kv.data.from_arrays(images[r], labels[r], image_size=16) for r in (slice(0, 200), slice(200, 300))]
encoder = kv.selfsup.untrained(trainings.encoder())
seed = 2**32 - 1  # the largest that a recipe takes
found = kv.selfsup.evaluate(encoder, *data, view=kv.augment.mae(16), seed=seed, epochs=3, progress=False)
assert found.alignment > 0
assert found.linear > 0.2 and found.knn_near > 0.2 and 0 < found.spread < 8**-0.5 and -4 < found.uniformity < 0, found
model = kv.transfer.attach(encoder, found.probe)
rows = np.concatenate([batch for batch, _ in data[1]])
assert abs((model.predict(rows, verbose=0).argmax(axis=1) == data[1].labels).mean() - found.linear) < 0.011

def trained(watching):
    keras.utils.set_random_seed(0)
    method = trainings.Contrast()
    method.compile(keras.optimizers.Adam(0.01))
    callbacks = []
    if watching:
        callbacks = [kv.selfsup.OnlineKNN(method.encoder, *data), kv.selfsup.OnlineProbe(method.encoder, *data)]
        callbacks.append(kv.selfsup.CollapseGuard())
    views = {"a": trainings.IMAGES, "b": trainings.IMAGES[:, :, ::-1]}
    logs = kv.training.fit(method, views, epochs=2, batch_size=8, callbacks=callbacks, verbose=0).history
    return trainings.arrays(method), logs

watched, logs = trained(True)
plain, expected = trained(False)
assert set(logs) - set(expected) == {"knn", "probe"} and len(logs["knn"]) == len(logs["probe"]) == 2
for one, other in zip(watched, plain):
    np.testing.assert_array_equal(one, other)
print("ok")
"""


def test_on_jax_without_tensorflow():
    tests = str(Path(trainings.__file__).parent)
    result = forks.run([sys.executable, "-c", JAX, tests], env=forks.jax_environment(), capture_output=True, text=True)
    assert result.stdout.strip() == "ok", result.stderr[-3000:]
