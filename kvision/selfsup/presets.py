"""The class `Preset`, and the parts that the presets of several methods share.

The presets of a method are in the method's module.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import keras

from kvision import augment, backbones
from kvision.schedules import Cosine, Steps
from kvision.schedules.curves import Curve
from kvision.selfsup.tokens import pooled
from kvision.training import SGD, AdamW, Lars, Objective

__all__ = ["DROPS", "Preset", "adamw", "by_size", "lars", "pair", "resnet", "sgd", "single"]

DROPS = Steps(at=(0.6, 0.8), warmup=0.0)  # At epochs 120 and 160 of 200.


def resnet(width: int) -> Callable[..., keras.Model]:
    """Returns a function that creates `kv.backbones.resnet18` for an image size, with `width` channels by default."""

    def encoder(size: int, width: int = width) -> keras.Model:
        """Creates a ResNet-18."""
        return backbones.resnet18(width=width, image_size=size, pooling="avg")

    return encoder


def _published(name: str) -> Callable[[int], keras.Model]:
    return lambda size: backbones.create(name, image_size=size, pooling="avg")


def _small_vit(size: int, width: int = 128) -> keras.Model:
    """Creates a ViT of 4 blocks on about 8 x 8 patches. Patches are 4 pixels wide for images of 32 pixels."""
    whole = (patch for patch in range(2, size) if size % patch == 0)
    patch_size = min(whole, key=lambda patch: abs(patch - size / 8), default=2)
    return pooled(backbones.vit(depth=4, width=width, heads=4, patch_size=patch_size, image_size=size))


_RISE, _ENCODER = Cosine(0.05), resnet(16)


@dataclass(frozen=True)
class Preset:
    """The hyper-parameters of a method.

    Attributes:
        views: Function from an image size to a layer that makes the views of a batch.
        method: Function that creates the method:
            `method(encoder, views, images=, classes=, steps=, image_size=, seed=)`, with the number of images, of
            classes, and of steps per epoch.
        optimizer: Function without parameters that creates the optimizer.
        learning_rate: The highest learning rate, for batches of `batch_size`.
        batch_size: Global batch size.
        epochs: Number of epochs.
        curve: How the learning rate changes during the training.
        encoder: Function from an image size to an encoder. For the sizes "small" and "smoke", this function also takes
            `width=`.
        image_size: Default height and width in pixels.
        fields: The entries of a batch, in the form of the argument `fields` of `kv.data.batches`.
        vit: Whether the encoder must be a vision transformer, because the method hides patches.
    """

    views: Callable[[int], keras.layers.Layer]
    method: Callable[..., Objective]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    _: KW_ONLY
    learning_rate: float
    batch_size: int
    epochs: int
    curve: Curve = _RISE
    encoder: Callable[..., keras.Model] = _ENCODER
    image_size: int = 32
    fields: tuple[str, ...] = ("image", "index")
    vit: bool = False

    def at_batch(self, batch_size: int) -> "Preset":
        """Creates the preset for a different batch size, with a proportional learning rate.

        Args:
            batch_size: Global batch size.

        Returns:
            A preset with this batch size, and `learning_rate` multiplied by the ratio of the batch sizes.

        Example:
            >>> kv.selfsup.preset("simclr").at_batch(512).learning_rate
            0.24

        References:
            Goyal et al. 2017, arXiv 1706.02677, section 2.1.
        """
        return replace(self, batch_size=batch_size, learning_rate=self.learning_rate * batch_size / self.batch_size)


def by_size(
    *, imagenet: Preset, small: Preset, smoke: Callable[..., Objective] | None = None, vit: bool = False
) -> dict[str, Preset]:
    """Returns the presets of a method by size, with their encoders.

    Args:
        imagenet: The paper's own hyper-parameters, with the paper's batch size.
        small: For images of 32 to 96 pixels on a CPU or one GPU.
        smoke: `method` for a run of one minute. It is needed if the state of the small method needs more images than
            such a run has.
        vit: Whether the encoder is a vision transformer.
    """
    brief = replace(small.at_batch(32), epochs=2, method=smoke or small.method)
    presets = {"small": small, "imagenet": replace(imagenet, image_size=224), "smoke": brief}
    if vit:
        encoders = {"small": _small_vit, "imagenet": _published("ViTSmall16"), "smoke": _small_vit}
    else:
        encoders = {"small": _ENCODER, "imagenet": _published("ResNet50"), "smoke": resnet(8)}
    return {size: replace(preset, encoder=encoders[size], vit=vit) for size, preset in presets.items()}


def pair(view: Callable[[int], augment.View]) -> Callable[[int], keras.layers.Layer]:
    """Returns a function from an image size to a layer that makes two views of each image, "a" and "b"."""
    return lambda size: augment.MultiView({"a": view(size), "b": view(size)})


def single(augmentation: Callable[[int], augment.View]) -> Callable[[int], keras.layers.Layer]:
    """Returns a function from an image size to a layer that augments each image once, as "a"."""
    return lambda size: augment.MultiView({"a": augmentation(size)})


def sgd(decay: float, *, norms: bool = True) -> Callable[[], keras.optimizers.Optimizer]:
    """Returns a function that creates SGD with a momentum of 0.9.

    The learning rate multiplies each gradient before the momentum sums them, as in Keras. The papers trained with
    PyTorch, where the learning rate multiplies the sum. The two differ for about ten steps after a drop of the learning
    rate (NPID and MoCo v1). In these steps, the sum here still contains gradients that were multiplied by the higher
    learning rate.

    Args:
        decay: Weight decay of the papers, which add `decay * weight` to the gradient.
        norms: Whether gamma and beta of normalization layers decay too. They do in PyTorch's SGD, but not in VISSL.
    """

    def optimizer() -> keras.optimizers.Optimizer:
        # The decay is decoupled from the gradient here. In the papers, the momentum multiplies the decay by
        # `1 / (1 - 0.9)`.
        made = SGD(momentum=0.9, weight_decay=decay / (1 - 0.9))
        if not norms:
            made.exclude_from_weight_decay(var_names=["gamma", "beta"])
        return made

    return optimizer


def adamw(beta_2: float, decay: float = 0.05, **options) -> Callable[[], keras.optimizers.Optimizer]:
    """Returns a function that creates AdamW, without decay of biases, normalization and the vector of hidden patches.

    MAE's code does decay that vector.

    Args:
        beta_2: Decay rate of the second moment.
        decay: Weight decay.
        **options: Other arguments of `kv.training.AdamW`.
    """

    def optimizer() -> keras.optimizers.Optimizer:
        made = AdamW(beta_1=0.9, beta_2=beta_2, epsilon=1e-8, weight_decay=decay, **options)
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "hidden"])
        return made

    return optimizer


def lars(decay: float) -> Callable[[], keras.optimizers.Optimizer]:
    """Returns a function that creates LARS with a momentum of 0.9.

    SwAV's code uses LARC instead. LARC applies the learning rate after the momentum. The difference is small as long as
    the learning rate changes slowly. In SwAV's code, biases and gains are also scaled, and they also decay.

    Args:
        decay: Weight decay.
    """

    def optimizer() -> keras.optimizers.Optimizer:
        made = Lars(momentum=0.9, weight_decay=decay, scales_undecayed=True)
        made.exclude_from_weight_decay(var_names=["prototypes"])  # They must not decay while they are frozen.
        return made

    return optimizer
