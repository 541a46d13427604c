import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.schedules import Unfreeze

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (24, 16, 16, 3)).astype("float32")
LABELS = np.arange(24) % 3


def attached(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 3), name="image")
    x = kv.layers.Preprocess("tf")(image)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    backbone = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="small")
    return kv.transfer.attach(backbone, 3)


class Record(keras.callbacks.Callback):
    """What every step saw: learning rate, iterations, count of trainable variables."""

    def __init__(self):
        super().__init__()
        self.rates, self.iterations, self.trainable = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.iterations.append(int(self.model.optimizer.iterations))
        self.trainable.append(len(self.model.trainable_variables))


def test_phases_follow_the_data_with_one_optimizer():
    record, optimizer = Record(), kv.training.Adam()
    steps = [Unfreeze(0, "top", 1e-2), Unfreeze(2, "all", 1e-3, norm="train", decay="constant")]
    history = kv.schedules.fit(
        attached(), (IMAGES, LABELS), steps, epochs=4, optimizer=optimizer, callbacks=[record], verbose=0
    )
    assert len(history["loss"]) == 4
    assert record.trainable == [2] * 2 + [6] * 2  # 24 images are one step an epoch
    assert record.iterations == [1, 2, 3, 4]
    np.testing.assert_allclose(record.rates, [1e-2, 1e-2 * (1 + np.cos(np.pi / 2)) / 2, 1e-3, 1e-3], rtol=1e-6)
    births = keras.ops.convert_to_numpy(optimizer.birth)
    assert sorted(births) == [0, 0, 2, 2, 2, 2]


def test_one_phase_is_kerass_own_fit():
    """The same data, rate and order through plain Keras end at the same weights."""
    ours, plain = attached(), attached()
    steps = [Unfreeze(0, "all", 1e-2, norm="train", decay="constant")]
    data = [(IMAGES[i : i + 8], LABELS[i : i + 8]) for i in (0, 8, 16)]
    kv.schedules.fit(ours, _Batches(data), steps, epochs=2, verbose=0)
    kv.schedules.freeze(plain, above="all", norm="train")
    plain.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    plain.fit(_Batches(data), epochs=2, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


class _Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize(
    ("steps", "epochs"),
    [
        ([], 2),
        ([Unfreeze(1, "top", 1e-3)], 2),
        ([Unfreeze(0, "top", 1e-3), Unfreeze(2, "all", 1e-3)], 2),
        ([Unfreeze(0, "top", 1e-3), Unfreeze(0, "all", 1e-3)], 2),
    ],
)
def test_steps_out_of_order(steps, epochs):
    with pytest.raises(UserError, match="rising epochs"):
        kv.schedules.fit(attached(), (IMAGES, LABELS), steps, epochs=epochs)


def test_values_are_checked_where_they_are_written():
    for arguments, text in [((-1, "top", 1e-3), "`epoch`"), ((0, "top", 0), "`rate`"), ((0, "top", np.nan), "`rate`")]:
        with pytest.raises(UserError, match=text):
            Unfreeze(*arguments)
    with pytest.raises(UserError, match="Did you mean 'cosine'"):
        Unfreeze(0, "top", 1e-3, decay="cosin")
    with pytest.raises(UserError, match=r"kv\.training\.Adam"):
        kv.schedules.fit(
            attached(), (IMAGES, LABELS), [Unfreeze(0, "top", 1e-3)], epochs=1, optimizer=keras.optimizers.Adam()
        )
