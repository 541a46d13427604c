"""Random numbers that depend only on a key, and the base class of layers that take a key."""

import inspect
from abc import abstractmethod

import keras
from keras import ops

from kvision import checks, distribute

__all__ = ["Key", "Keyed", "fold", "next_key"]


def int32(number: int) -> int:
    """Returns the int32 with the lowest 32 bits of an integer."""
    return (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


# The finalizer of MurmurHash3 (Appleby 2011, public domain). It uses integers of 32 bits, because JAX has only these by
# default. The integers are signed, because TensorFlow has few kernels for unsigned integers.
_FIRST, _SECOND = int32(0x85EBCA6B), int32(0xC2B2AE35)
_GOLDEN = int32(0x9E3779B9)


def _shifted(x, bits: int):
    return ops.bitwise_and(ops.right_shift(x, bits), (1 << (32 - bits)) - 1)  # The mask removes copies of the sign.


def _mixed(x):
    """Maps int32 numbers one-to-one, so that every new bit depends on every old bit. 0 stays 0."""
    x = ops.bitwise_xor(x, _shifted(x, 16)) * _FIRST
    x = ops.bitwise_xor(x, _shifted(x, 13)) * _SECOND
    return ops.bitwise_xor(x, _shifted(x, 16))


def fold(key, number):
    """Derives a new key from a key and a number.

    The same key and number give the same new key on every backend. For the same number, different keys always give
    different new keys. For different numbers, two new keys are equal only by chance. Keys of small integers, such as
    (seed, step), work as well as all other keys.

    Args:
        key: Two integers `(2,)`.
        number: An integer, or integers `(n,)`.

    Returns:
        A key `(2,)` int32, or one key for each number, `(n, 2)`.

    Example:
        >>> tuple(kv.augment.fold([1, 2], np.arange(3)).shape)
        (3, 2)
    """
    key, number = ops.cast(key, "int32"), ops.cast(number, "int32")
    salt = ops.convert_to_tensor([_GOLDEN, _FIRST], "int32")
    first, second = ops.convert_to_tensor([1, 0], "int32"), ops.convert_to_tensor([0, 1], "int32")
    x = _mixed(key + salt) + _mixed(number + _GOLDEN)[..., None] * salt
    x = _mixed(x + ops.flip(x, -1) * second)
    return _mixed(x + ops.flip(x, -1) * first + salt)


class Key(keras.random.SeedGenerator):
    """Makes a key usable as the `seed` of a function of `keras.random`.

    Each call with the same `Key` draws new numbers. A second `Key` made from the same two integers draws the same
    numbers as the first one. A `Key` has no state that is saved, so create it where it is used and do not store it in a
    layer.

    Args:
        key: Two integers `(2,)`.

    Example:
        >>> first, again = (keras.random.uniform((2,), seed=kv.augment.Key([1, 2])) for _ in range(2))
        >>> bool((first == again).numpy().all())
        True
    """

    def __init__(self, key):  # `keras.random` needs this class. The parent's constructor would create a variable.
        self.key, self.count = key, 0

    def next(self, ordered: bool = True):
        """Returns the seed of the next call."""
        self.count += 1
        seed = fold(self.key, self.count)
        return ops.cast(seed, "uint32") if keras.backend.backend() == "jax" else seed


def next_key(generator: keras.random.SeedGenerator):
    """Draws a key from a generator, a different key on each replica.

    Without this function, the generator would give the same numbers to all replicas.

    Args:
        generator: A `keras.random.SeedGenerator`.

    Returns:
        A key `(2,)` int32.
    """
    return fold(generator.next(), distribute.replica_id())


class Keyed(keras.layers.Layer):
    """Base class of augmentations. The same key draws the same random numbers again.

    A layer is called as `layer(images, key=None)`. It takes images `(batch, height, width, 3)`, uint8 or float, in
    [0, 255], and returns float32 in [0, 255] for every dtype policy. Each image has its own random numbers, in training
    and in inference.

    The same key (two integers) gives the same numbers if the backend and the compile mode are the same. If no key is
    given, the layer takes the next key from its own generator. This key is different on each replica. The state of the
    generator is a variable of the layer. Checkpoints of `kv.training.fit` contain this state. A `.keras` file does not
    contain it.

    A subclass implements `transform(images, key)`, which takes float32 images and a key and returns float32 images. The
    constructor of the subclass stores each argument as an attribute with the same name, because `get_config` reads
    these attributes.

    Args:
        seed: Seed of the generator. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If the images or the key have the wrong shape.
    """

    takes_raw_pixels = True  # See `kvision.training.raw_images`.

    def __init__(self, *, seed: int | None = None, name: str | None = None):
        # Keras must not cast the indices and labels of a batch.
        super().__init__(name=name, dtype="float32", autocast=False)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True

    @abstractmethod
    def transform(self, images, key):
        """Augments images.

        Args:
            images: `(batch, height, width, 3)` float32 in [0, 255].
            key: Two integers `(2,)` int32.

        Returns:
            Images `(batch, height, width, 3)` float32 in [0, 255].
        """

    def call(self, images, key=None):
        return self.transform(pixels(images), self.own(key))

    def own(self, key=None):
        """Returns the given key, or the next key of the generator.

        Args:
            key: Two integers, or None.

        Returns:
            A key `(2,)` int32.

        Raises:
            UserError: If `key` does not have two numbers.
        """
        if key is None:
            return next_key(self.generator)
        key = ops.cast(key, "int32")
        if tuple(key.shape) != (2,):
            raise checks.UserError("key", expected="two integers", received=f"an array of shape {tuple(key.shape)}")
        return key

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        arguments = inspect.signature(type(self).__init__).parameters
        own = {name: getattr(self, name) for name in arguments if name != "self" and hasattr(self, name)}
        return {"seed": self.seed, "name": self.name, **own}


def pixels(images):
    """Returns images as float32.

    Raises:
        UserError: If the images do not have the shape `(batch, height, width, 3)`.
    """
    shape = getattr(images, "shape", None)
    if shape is None or len(shape) != 4 or shape[-1] != 3:
        raise checks.UserError(
            "images",
            expected="an array (batch, height, width, 3)",
            received=type(images).__name__ if shape is None else f"an array of shape {tuple(shape)}",
            hint="kv.augment.MultiView makes the views of a batch of several fields" if shape is None else "",
        )
    return ops.cast(images, "float32")
