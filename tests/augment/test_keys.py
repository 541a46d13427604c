import keras
import numpy as np
import pytest
import replicas

from kvision.augment import Key, fold
from kvision.augment.keys import Keyed, pixels
from kvision.checks import UserError


def mixed(x: int) -> int:
    """MurmurHash3's finalizer on Python's integers."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ x >> shift) * factor & 0xFFFFFFFF
    return x ^ x >> 16


def folded(key: tuple[int, int], number: int) -> list[int]:
    """`fold` on Python's integers, the halves one by one."""
    golden, first, mask = 0x9E3779B9, 0x85EBCA6B, 0xFFFFFFFF
    salt = mixed(number + golden & mask)
    a = mixed(key[0] + golden & mask) + salt * golden & mask
    b = mixed(key[1] + first & mask) + salt * first & mask
    a, b = mixed(a), mixed(a + b & mask)
    return [mixed(a + b + golden & mask), mixed(b + first & mask)]


class Noise(Keyed):
    def transform(self, images, key):
        return images + keras.random.uniform(images.shape, seed=Key(key))


def test_fold_equals_integers_of_python():
    for key, number in [((0, 0), 0), ((7, 3), 5), ((2**31 - 1, 2**32 - 3), 2**31 - 1)]:
        found = np.asarray(fold(np.array(key, "uint32").view("int32"), number)).view("uint32")
        assert found.tolist() == folded(key, number)
    many = np.asarray(fold([7, 3], np.arange(4)))
    assert many.shape == (4, 2) and (many[2] == np.asarray(fold([7, 3], 2))).all()


def test_keys_of_small_integers_never_meet():
    seeds = [fold([seed, step], np.arange(64)) for seed in range(8) for step in range(8)]
    assert len(np.unique(np.concatenate(seeds), axis=0)) == 8 * 8 * 64
    assert len(np.unique(np.concatenate(seeds)[:, 0])) > 8 * 8 * 64 - 10, "each half varies by itself"


@pytest.mark.parametrize("part", [0, 1, "number"])
def test_one_bit_of_the_input_changes_half_of_the_output(part):
    random = np.random.default_rng(0)
    keys, numbers = random.integers(0, 2**31, (300, 2)), random.integers(0, 2**31, 300)
    flips = []
    for (a, b), number in zip(keys.tolist(), numbers.tolist(), strict=True):
        bit = 1 << int(random.integers(31))
        other = {0: ((a ^ bit, b), number), 1: ((a, b ^ bit), number), "number": ((a, b), number ^ bit)}[part]
        one, two = (np.array(folded(*each), "uint32") for each in (((a, b), number), other))
        flips.append([f"{x:032b}" for x in one ^ two])
    shares = np.mean([[int(c) for half in each for c in half] for each in flips], axis=0)
    assert np.abs(shares - 0.5).max() < 5 * 0.5 / 300**0.5


def test_a_key_draws_again_what_it_drew():
    key = Key([1, 2])
    first, second = (keras.random.uniform((10_000,), seed=key) for _ in range(2))
    np.testing.assert_array_equal(first, keras.random.uniform((10_000,), seed=Key([1, 2])))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05 and abs(np.mean(first) - 0.5) < 0.02
    assert np.abs(np.subtract(first, keras.random.uniform((10_000,), seed=Key([1, 3])))).mean() > 0.3


def test_without_a_key_the_layers_own_generator_draws_and_is_a_variable():
    images = np.zeros((2, 4, 4, 3), "uint8")
    layer, again = Noise(seed=3), Noise(seed=3)
    first, second = np.asarray(layer(images)), np.asarray(layer(images))
    assert first.dtype == np.float32 and (first != second).any()
    np.testing.assert_array_equal(again(images), first)
    (state,) = layer.variables  # a checkpoint takes it along
    before = state.numpy()
    third = layer(images)
    state.assign(before)
    np.testing.assert_array_equal(layer(images), third)


def test_half_precision_stays_out():
    previous = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        layer = Noise()
        assert keras.backend.standardize_dtype(layer(np.zeros((1, 2, 2, 3), "float32"), key=[1, 2]).dtype) == "float32"
    finally:
        keras.config.set_dtype_policy(previous)


@pytest.mark.parametrize("shape", [(2, 4, 4, 1), (4, 4, 3)])
def test_images_of_another_shape(shape):
    with pytest.raises(UserError, match=r"`images` .*\(batch, height, width, 3\)"):
        pixels(np.zeros(shape))


def test_a_key_of_another_shape():
    with pytest.raises(UserError, match=r"`key` .*two integers"):
        Noise()(np.zeros((1, 2, 2, 3)), key=np.array([1, 2, 3]))


CODE = """
images = np.zeros((2, 8, 8, 3), "float32") + np.arange(8)[:, None]
with strategy.scope():
    view = kv.augment.RandomResizedCrop(8)

@tf.function
def both(key):
    def step():
        return view(images, key=key)
    return strategy.experimental_local_results(strategy.run(step))

drawn = [[part.numpy().tolist() for part in both(None)] for _ in range(2)]
given = [part.numpy().tolist() for part in both(tf.constant([1, 2]))]
ids = strategy.run(lambda: tf.convert_to_tensor(kv.distribute.replica_id()))
with strategy.scope():
    outside = kv.distribute.replica_id()
answer(drawn=drawn, given=given, ids=[int(i) for i in strategy.experimental_local_results(ids)], outside=outside)
"""


def test_replicas_draw_different_numbers_unless_they_are_given_a_key():
    (found,) = replicas.run(CODE, devices=2)
    views = np.array(found["drawn"]).reshape(4, -1)
    for i in range(4):
        for j in range(i):
            assert np.abs(views[i] - views[j]).mean() > 0.05, (i, j)
    assert found["given"][0] == found["given"][1], "control"
    assert found["ids"] == [0, 1] and found["outside"] == 0
