import shutil

import keras
import numpy as np
import pytest
import replicas
import trainings
from keras import ops

import kvision as kv
from kvision.checks import UserError
from kvision.selfsup.callbacks import Heads
from kvision.training import callback_state

RANDOM = np.random.default_rng(0)
IMAGES, LABELS = trainings.IMAGES, RANDOM.permutation(trainings.LABELS)
TRAIN, TEST = (IMAGES[:30], LABELS[:30]), (IMAGES[30:], LABELS[30:])


class Pull(kv.training.Objective):
    """Two noisy views are drawn together; the noise is of Keras' own generator, which everything shares."""

    def __init__(self):
        super().__init__()
        self.encoder = trainings.encoder()

    def call(self, views, training=False):
        images = ops.cast(views["image"], "float32")
        noisy = [images + keras.random.normal(ops.shape(images), stddev=20.0) for _ in range(2)]
        return dict(zip("ab", (self.encoder(each, training=training) for each in noisy), strict=True))

    def objective(self, outputs):
        return ops.mean(ops.square(outputs["a"] - outputs["b"])) - 0.1 * ops.mean(ops.var(outputs["a"], axis=0))

    def trivial(self, outputs):
        return ops.mean(ops.square(outputs["a"]))

    def embedding(self, outputs):
        return outputs["a"]


def trained(callbacks=lambda encoder: (), *, epochs=2, folder=None, every=None):
    """-> the method, its callbacks, its logs by name."""
    keras.utils.set_random_seed(0)
    method = Pull()
    method.compile(keras.optimizers.Adam(0.01), run_eagerly=True)  # a trace takes longer than these steps
    watching = list(callbacks(method.encoder))
    checkpoints = folder and kv.training.Resume(folder, every=every)
    options = {"callbacks": watching, "checkpoints": checkpoints, "verbose": 0}
    logs = kv.training.fit(method, {"image": IMAGES[:24]}, epochs=epochs, batch_size=8, **options).history
    return method, watching, logs


def both(encoder, train=TRAIN, test=TEST, **options):
    options = {"batch_size": 16, **options}
    return [
        kv.selfsup.OnlineKNN(encoder, train, test, n_neighbors=5, **options),
        kv.selfsup.OnlineProbe(encoder, train, test, passes=2, **options),
    ]


@pytest.fixture(scope="module")
def plain():
    return trained()


@pytest.fixture(scope="module")
def watched():
    return trained(both)


def test_training_is_bit_identical_with_and_without_them(plain, watched):
    assert "knn" in watched[2] and "knn" not in plain[2]
    for one, other in zip(trainings.arrays(plain[0]), trainings.arrays(watched[0]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {name: watched[2][name] for name in plain[2]} == plain[2]


def test_labels_permuted_leave_the_encoder_bit_identical(watched):
    permuted = np.random.default_rng(3).permutation(LABELS)
    train, test = (IMAGES[:30], permuted[:30]), (IMAGES[30:], permuted[30:])
    method, _, logs = trained(lambda encoder: both(encoder, train, test))
    for one, other in zip(trainings.arrays(method), trainings.arrays(watched[0]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert logs["knn"] != watched[2]["knn"] and logs["probe"] != watched[2]["probe"], "control: they do see labels"


def test_the_logs_are_what_the_encoder_is_worth_at_the_end(watched):
    method, (_, probe), logs = watched
    assert len(logs["knn"]) == len(logs["probe"]) == 2
    bank, test = kv.features.embed_each(method.encoder, [TRAIN[0], TEST[0]], progress=False)
    assert logs["knn"][-1] == kv.selfsup.knn_accuracy(bank, TRAIN[1], test, TEST[1], n_neighbors=5)
    heads = Heads(8, 3, [0.1])
    heads.state = probe.state
    ((kernel, bias),) = heads.arrays()
    scaled = (test - bank.mean(axis=0)) / bank.std(axis=0)
    assert logs["probe"][-1] == pytest.approx(((scaled @ kernel + bias).argmax(axis=1) == TEST[1]).mean())


def test_the_head_goes_on_from_epoch_to_epoch():
    """With an encoder that stands still, two epochs of two passes are one training of four."""
    encoder = trainings.encoder()
    probe = kv.selfsup.OnlineProbe(encoder, TRAIN, TEST, passes=2, batch_size=16)
    probe.set_params({"epochs": 2})
    for epoch in (0, 1):
        probe.on_epoch_end(epoch, {})
    features = kv.features.embed(encoder, TRAIN[0], progress=False)
    heads, scaled = Heads(8, 3, [0.1]), (features - features.mean(axis=0)) / features.std(axis=0)
    heads.train(scaled, TRAIN[1].astype("int32"), epochs=4, batch_size=16, seed=0, factor=lambda progress: 1.0)
    for one, other in zip(probe.state, heads.state, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


class Struck(Exception):
    pass


class Strike(keras.callbacks.Callback):
    """A kill that the process survives: at a step of an epoch, or (-1) at its end before its checkpoint."""

    def __init__(self, epoch, step):
        super().__init__()
        self._epoch, self._step, self._now = epoch, step, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self._now, batch) == (self._epoch, self._step):
            raise Struck

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, -1) == (self._epoch, self._step):
            raise Struck


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """In the middle of epoch 2, with the state after epoch 1 on disk."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.raises(Struck):
        trained(lambda encoder: [*both(encoder), Strike(1, 1)], folder=folder, every=1)
    return folder


def test_control_without_what_was_kept_the_head_is_another(watched, killed, tmp_path, monkeypatch):
    folder = shutil.copytree(killed, tmp_path / "copy")
    monkeypatch.setattr(callback_state, "put", lambda *given: None)
    _, (_, probe), _ = trained(both, folder=folder, every=1)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(probe.state, watched[1][1].state, strict=True))


def test_killed_it_goes_on_with_its_head_and_ends_with_equal_logs(watched, killed):
    method, (_, probe), logs = trained(both, folder=killed, every=1)
    assert logs == watched[2]
    for one, other in zip(probe.state, watched[1][1].state, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(trainings.arrays(method), trainings.arrays(watched[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_killed_before_an_epochs_checkpoint_it_is_judged_once(watched, tmp_path):
    with pytest.raises(Struck):
        trained(lambda encoder: [*both(encoder), Strike(0, -1)], folder=tmp_path, epochs=1, every=1)
    logs = trained(both, folder=tmp_path, epochs=1, every=1)[2]
    assert logs == {name: values[:1] for name, values in watched[2].items()}


def test_between_they_are_silent_and_the_last_epoch_is_always_judged():
    _, _, logs = trained(lambda encoder: both(encoder, every=2)[:1], epochs=3)
    assert len(logs["loss"]) == 3 and len(logs["knn"]) == 2


def test_images_do_as_arrays_do(watched):
    def images(pair):
        return kv.data.from_arrays(*pair, image_size=16, batch_size=7)

    _, _, logs = trained(lambda encoder: both(encoder, images(TRAIN), images(TEST))[:1], epochs=1)
    assert logs["knn"][0] == pytest.approx(watched[2]["knn"][0])


def test_what_is_wrong_is_said_before_training():
    encoder = trainings.encoder()
    for kind, options, message in (
        (kv.selfsup.OnlineKNN, {"every": 0}, "`every`"),
        (kv.selfsup.OnlineKNN, {"n_neighbors": 0}, "`n_neighbors`"),
        (kv.selfsup.OnlineKNN, {"temperature": 0}, "`temperature`"),
        (kv.selfsup.OnlineProbe, {"learning_rate": 0}, "`learning_rate`"),
        (kv.selfsup.OnlineProbe, {"passes": 0}, "`passes`"),
        (kv.selfsup.CollapseGuard, {"threshold": 0}, "`threshold`"),
        (kv.selfsup.CollapseGuard, {"patience": 0}, "`patience`"),
    ):
        data = () if kind is kv.selfsup.CollapseGuard else (encoder, TRAIN, TEST)
        with pytest.raises(UserError, match=message):
            kind(*data, **options)


def constant(encoder):
    """The encoder gives every image the same, whatever its convolution sees: its normalization scales by 0."""
    bn = encoder.get_layer("bn")
    bn.gamma.assign(np.zeros(8))
    bn.beta.assign(np.arange(1, 9))
    bn.trainable = False
    return [kv.selfsup.CollapseGuard()]


def test_the_guard_fires_on_a_constant_encoder():
    with pytest.raises(
        kv.selfsup.Collapsed, match=r"Epoch 2: the embeddings have collapsed.*for 2 epochs.*new training"
    ):
        trained(constant)


def test_the_guard_lets_a_healthy_encoder_train():
    _, (guard,), logs = trained(lambda encoder: [kv.selfsup.CollapseGuard()])
    assert guard.count == 0 and min(logs["embedding_std"]) > 0.005


def test_only_epochs_in_a_row_count_and_checkpoints_keep_them():
    guard = kv.selfsup.CollapseGuard(0.01, patience=2)
    for epoch, value in enumerate((0.001, 0.02, 0.001, 0.3)):
        guard.on_epoch_end(epoch, {"embedding_std": value})
    guard.on_epoch_end(4, {"embedding_std": 0.0})
    assert guard.count == 1 and not [name for name in vars(guard) if name in ("threshold", "patience")]
    with pytest.raises(kv.selfsup.Collapsed, match=r"`embedding_std` is 0.002, .*below 0.01 for 2 epochs"):
        guard.on_epoch_end(5, {"embedding_std": 0.002})


def test_the_guard_says_when_there_is_nothing_to_watch():
    with pytest.raises(UserError, match=r"CollapseGuard .*`embedding_std`.*\['loss'\]"):
        kv.selfsup.CollapseGuard().on_epoch_end(0, {"loss": 1.0})


TWO = """
import trainings
IMAGES, TRAIN, TEST = trainings.IMAGES, (trainings.IMAGES[:30], LABELS[:30]), (trainings.IMAGES[30:], LABELS[30:])

def data(pair):
    return kv.data.from_arrays(*pair, image_size=16, batch_size=7)

found = {}
for name, scope in (("two", strategy.scope()), ("one", contextlib.nullcontext())):
    keras.utils.set_random_seed(0)
    with scope:
        method = trainings.Contrast()
        method.noise.stddev = 0.0  # of each replica it is another
        method.compile(keras.optimizers.SGD(0.01))
    watching = [
        kv.selfsup.OnlineKNN(method.encoder, TRAIN, TEST, n_neighbors=5),
        kv.selfsup.OnlineProbe(method.encoder, data(TRAIN), data(TEST), passes=2),
    ]
    options = {"batch_size": 8, "callbacks": watching, "verbose": 0}
    found[name] = kv.training.fit(method, {"a": IMAGES[:24], "b": IMAGES[:24, :, ::-1]}, epochs=1, **options).history
    features = kv.features.embed(method.encoder, IMAGES, batch_size=8, progress=False)
    assert np.abs(features - np.asarray(method.encoder(IMAGES, training=False))).max() < 1e-5, "in their order, once"
answer(**found)
"""


def test_on_two_devices_they_see_each_image_once():
    (found,) = replicas.run(f"import contextlib\nLABELS = np.array({LABELS.tolist()})\n{TWO}", devices=2)
    for name in ("knn", "probe"):
        np.testing.assert_allclose(found["two"][name], found["one"][name], atol=1 / 15 + 1e-6)
