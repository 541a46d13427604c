"""Random numbers from a key that anyone can make again, and the layers that take one."""

from abc import abstractmethod

import keras
from keras import ops

from kvision import checks, distribute

__all__ = ["Key", "Keyed", "fold", "next_key"]


def int32(number: int) -> int:
    """The int32 with the lowest bits of any integer."""
    return (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


# MurmurHash3's finalizer (Appleby 2011, public domain); 32 bits because JAX has no more, signed because TensorFlow
# has few kernels for unsigned ones
_FIRST, _SECOND = int32(0x85EBCA6B), int32(0xC2B2AE35)
_GOLDEN = int32(0x9E3779B9)


def _shifted(x, bits: int):
    return ops.bitwise_and(ops.right_shift(x, bits), (1 << (32 - bits)) - 1)  # without the sign's copies


def _mixed(x):
    """A bijection of int32 in which every bit depends on every bit; 0 stays 0."""
    x = ops.bitwise_xor(x, _shifted(x, 16)) * _FIRST
    x = ops.bitwise_xor(x, _shifted(x, 13)) * _SECOND
    return ops.bitwise_xor(x, _shifted(x, 16))


def fold(key, number):
    """Derives a key: key (2,), number () or (n,), integers of any type -> (2,) or (n, 2) int32.

    The same pair gives the same key, on every backend. For one number, different keys give different ones; else
    keys meet by chance alone. Keys of small integers, as (seed, step), are as good as others.
    """
    key, number = ops.cast(key, "int32"), ops.cast(number, "int32")
    salt = ops.convert_to_tensor([_GOLDEN, _FIRST], "int32")
    first, second = ops.convert_to_tensor([1, 0], "int32"), ops.convert_to_tensor([0, 1], "int32")
    x = _mixed(key + salt) + _mixed(number + _GOLDEN)[..., None] * salt
    x = _mixed(x + ops.flip(x, -1) * second)
    return _mixed(x + ops.flip(x, -1) * first + salt)


class Key(keras.random.SeedGenerator):
    """A key as `keras.random` takes it: `keras.random.uniform(shape, seed=Key(key))`; key: (2,) integers.

    Each call draws other numbers, and a second `Key` of the same key draws them again. It holds no state that is
    saved. Never an attribute of a layer: it lives as long as one call.
    """

    def __init__(self, key):  # keras.random looks at the class alone; the parent would make a variable
        self.key, self.count = key, 0

    def next(self, ordered: bool = True):
        self.count += 1
        seed = fold(self.key, self.count)
        return ops.cast(seed, "uint32") if keras.backend.backend() == "jax" else seed


def next_key(generator: keras.random.SeedGenerator):
    """-> (2,) int32: a generator's next key, another on each replica, which by itself would draw the same on all."""
    return fold(generator.next(), distribute.replica_id())


class Keyed(keras.layers.Layer):
    """Base of layers with random numbers that can be had again: `call(images, key=None)`.

    images: (B, H, W, 3) uint8 or float in [0, 255] -> float32 in [0, 255], whatever the dtype policy is; each image
    has draws of its own, in training and in inference alike. key: (2,) integers; the same key gives the same numbers
    on one backend and in one way of compiling. None: the next key of the layer's own generator, which begins with
    `seed` (None: any) and gives each replica another. Its state is one of the layer's variables: the checkpoints of
    `kv.training.fit` keep it, a `.keras` file does not.
    A subclass writes `transform(images, key)`: float32 images and a key -> float32 images.
    Raises UserError for images of another shape and for a key that has not two numbers.
    """

    takes_raw_pixels = True  # see `kvision.training.raw_images`

    def __init__(self, *, seed: int | None = None, name: str | None = None):
        # not cast by Keras: a batch's indices and labels pass through as they are
        super().__init__(name=name, dtype="float32", autocast=False)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True

    @abstractmethod
    def transform(self, images, key): ...

    def call(self, images, key=None):
        return self.transform(pixels(images), self.own(key))

    def own(self, key=None):
        """-> (2,) int32: the given key, or the generator's next, another on each replica."""
        if key is None:
            return next_key(self.generator)
        key = ops.cast(key, "int32")
        if tuple(key.shape) != (2,):
            raise checks.error("key", expected="two integers", received=tuple(key.shape), problem="has another shape")
        return key

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {"seed": self.seed, "name": self.name}


def pixels(images):
    """Images as float32; raises UserError unless they are (B, H, W, 3)."""
    shape = getattr(images, "shape", None)
    if shape is None or len(shape) != 4 or shape[-1] != 3:
        raise checks.error(
            "images",
            problem="are none" if shape is None else "have another shape",
            expected="(batch, height, width, 3)",
            received=type(images).__name__ if shape is None else tuple(shape),
            hint="Views of a batch of several fields are made by kv.augment.MultiView" if shape is None else "",
        )
    return ops.cast(images, "float32")
