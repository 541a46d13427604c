"""What a preset is, and the parts that those of several methods share. Each method's own stand in its module."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras

from kvision import augment, backbones
from kvision.schedules import Cosine, Steps
from kvision.schedules.curves import Curve
from kvision.selfsup.tokens import pooled
from kvision.training import SGD, AdamW, Lars, Objective

__all__ = ["DROPS", "Preset", "adamw", "by_size", "lars", "pair", "resnet", "sgd", "single", "small_vit", "zoo"]

DROPS = Steps(at=(0.6, 0.8), warmup=0.0)  # epochs 120 and 160 of 200
_RISE = Cosine(0.05)


@dataclass(frozen=True)
class Preset:
    """How a method is trained.

    encoder: image size -> a model image -> features; where the preset has its own, with `width=` of another. views:
    image size -> a layer that makes the views of a batch. method: (encoder, views, images=, classes=, steps=,
    image_size=, seed=) -> the method; images, classes of the data set, steps of an epoch. optimizer: () -> one.
    learning_rate: its peak, for `batch_size`; `curve` is what becomes of it. image_size: pixels, where nobody says
    another. fields: of a batch, as `kv.data.pipeline` takes them. vit: patches are hidden, so that no other encoder
    will do.
    """

    encoder: Callable[..., keras.Model]
    views: Callable[[int], keras.layers.Layer]
    method: Callable[..., Objective]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    learning_rate: float
    batch_size: int
    epochs: int
    curve: Curve = _RISE
    image_size: int = 32
    fields: tuple[str, ...] = ("image", "index")
    vit: bool = False

    def at_batch(self, batch_size: int) -> "Preset":
        """The same for another batch: the rate is scaled with it (Goyal et al. 2017, arXiv 1706.02677, section 2.1)."""
        return replace(self, batch_size=batch_size, learning_rate=self.learning_rate * batch_size / self.batch_size)


def by_size(*, imagenet: Preset, small: Preset, smoke: Callable[..., Objective] | None = None) -> dict[str, Preset]:
    """A method's settings by their size.

    imagenet: the paper's own. Where it trained with more images a step, `batch_size` is the paper's all the same: give
    yours to `at_batch`. small: images of 32 to 96 pixels on two cores, a ResNet-18 of width 16 or a ViT of 4 blocks.
    smoke: `method` of a minute's run, where little data cannot fill the state of the small one.
    """
    brief = replace(small.at_batch(32), epochs=2, method=smoke or small.method)
    if not small.vit:
        brief = replace(brief, encoder=resnet(8))
    return {"small": small, "imagenet": replace(imagenet, image_size=224), "smoke": brief}


def resnet(width: int) -> Callable[..., keras.Model]:
    """An encoder: `kv.backbones.resnet18` of a width."""
    return lambda size, width=width: backbones.resnet18(width=width, image_size=size, pooling="avg")


def zoo(name: str) -> Callable[[int], keras.Model]:
    """An encoder: one of `kv.backbones.available()`."""
    return lambda size: backbones.create(name, image_size=size, pooling="avg")


def small_vit(size: int, width: int = 128) -> keras.Model:
    """An encoder: 4 blocks of 4 heads on some 8 x 8 tokens at any small size, patches of 4 pixels at 32."""
    whole = (patch for patch in range(2, size) if size % patch == 0)
    patch_size = min(whole, key=lambda patch: abs(patch - size / 8), default=2)
    return pooled(backbones.vit(depth=4, width=width, heads=4, patch_size=patch_size, image_size=size))


def pair(view: Callable[[int], augment.View]) -> Callable[[int], keras.layers.Layer]:
    """Two views of each image, "a" and "b". view: image size -> one."""
    return lambda size: augment.MultiView({"a": view(size), "b": view(size)})


def single(view: Callable[[int], augment.View]) -> Callable[[int], keras.layers.Layer]:
    """One view of each image, "a". view: image size -> one."""
    return lambda size: augment.MultiView({"a": view(size)})


def sgd(decay: float, *, norms: bool = True) -> Callable[[], keras.optimizers.Optimizer]:
    """SGD with momentum .9.

    The learning rate multiplies the gradient before the momentum sums it up, as in Keras. In PyTorch, with which the
    papers trained, it multiplies the sum. The two differ after a change of the rate: for some ten steps after a drop
    to a tenth, as in the presets of NPID and MoCo v1, the sum here still holds gradients of the rate before.

    Args:
        decay: Weight decay of the papers, which add decay * w to the gradient.
        norms: Whether gamma and beta of normalization decay too. In VISSL they do not, in PyTorch's own SGD they do.

    Returns:
        A function that makes the optimizer.
    """

    def optimizer() -> keras.optimizers.Optimizer:
        made = SGD(momentum=0.9, weight_decay=decay / (1 - 0.9))  # decoupled: momentum would sum it up
        if not norms:
            made.exclude_from_weight_decay(var_names=["gamma", "beta"])
        return made

    return optimizer


def adamw(beta_2: float, decay: float = 0.05, **options) -> Callable[[], keras.optimizers.Optimizer]:
    """AdamW without decay of biases, normalization and the vector of hidden patches, which MAE's code does decay.

    Its epsilon is 1e-8, as in PyTorch, with which the papers trained.

    Args:
        beta_2: Decay of the second moment.
        decay: Weight decay.
        **options: Other arguments of `kv.training.AdamW`.

    Returns:
        A function that makes the optimizer.
    """

    def optimizer() -> keras.optimizers.Optimizer:
        made = AdamW(beta_1=0.9, beta_2=beta_2, epsilon=1e-8, weight_decay=decay, **options)
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "hidden"])
        return made

    return optimizer


def lars(decay: float) -> Callable[[], keras.optimizers.Optimizer]:
    """LARS with momentum .9. SwAV's code has LARC, whose rate multiplies after the momentum, which differs little where
    the rate changes slowly, and which scales and decays biases and gains too."""

    def optimizer() -> keras.optimizers.Optimizer:
        made = Lars(momentum=0.9, weight_decay=decay, scales_undecayed=True)
        made.exclude_from_weight_decay(var_names=["prototypes"])  # they stay as they began while they are frozen
        return made

    return optimizer
