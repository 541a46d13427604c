"""A backbone of five convolutions, which the zoo has while a test runs: `--backbone Small`."""

import contextlib

import pytest

NAME = "Small"


def small(image_size: int = 32, channels: int = 3):
    """Strides 2 to 32, a stage for each; one convolution is normalized."""
    import keras

    import kvision as kv

    image = keras.Input((image_size, image_size, channels), name="image")
    x = kv.layers.Preprocess("tf")(image)
    for number, width in enumerate((8, 8, 12, 12, 16), 1):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{number}")(x)
        if number == 2:
            x = kv.layers.BatchNormalization(momentum=0.9, name="bn2")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
    return keras.Model(image, x, name=NAME)


@pytest.fixture(scope="module")
def in_the_zoo():
    """`kv.backbones.create("Small")` works in this module."""
    from kvision import choices
    from kvision.backbones import zoo

    entry = zoo.Entry(lambda size, channels, _: small(size, channels), "tf", image_size=32, smallest=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(zoo.ZOO, NAME, entry)
        patch.setitem(choices.BACKBONES, NAME, entry.smallest)
        yield


@contextlib.contextmanager
def as_encoders():
    """Where a preset of self-supervised learning asks for a ResNet-18 it gets `small`, and of a ViT one block."""
    import keras

    import kvision as kv

    vit = kv.backbones.vit

    def resnet18(*, image_size, pooling, width=None):
        body = small(image_size)
        return keras.Model(body.input, keras.layers.GlobalAveragePooling2D(name="pool")(body.output), name="ResNet18")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv.backbones, "resnet18", resnet18)
        patch.setattr(kv.backbones, "vit", lambda **options: vit(**{**options, "depth": 1, "width": 32}))
        yield


@pytest.fixture
def small_encoders():
    with as_encoders():
        yield
