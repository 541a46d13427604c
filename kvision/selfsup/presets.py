"""Each method's settings in one table: what its paper has, what suits small images, and a run of a minute."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras

from kvision import backbones, checks, views
from kvision.schedules import Cosine, Steps
from kvision.schedules.curves import Curve
from kvision.selfsup.mae import MAE
from kvision.selfsup.moco import MoCo
from kvision.selfsup.npid import NPID
from kvision.selfsup.simclr import SimCLR
from kvision.selfsup.simmim import SimMIM
from kvision.selfsup.supervised import Supervised
from kvision.selfsup.swav import SwAV
from kvision.selfsup.tokens import pooled
from kvision.training import SGD, AdamW, Lars, Objective

__all__ = ["METHODS", "SIZES", "Preset", "preset"]

SIZES = ("small", "imagenet", "smoke")
_RISE = Cosine(0.05)


@dataclass(frozen=True)
class Preset:
    """How a method is trained.

    encoder: image size -> a model image -> features. views: image size -> a layer that makes the views of a batch.
    method: (encoder, views, images=, classes=, steps=, image_size=, seed=) -> the method; images, classes of the data
    set, steps of an epoch. optimizer: () -> one. rate: its peak, for `batch_size`; `curve` is what becomes of it.
    image_size: pixels, where nobody says another. fields: of a batch, as `kv.data.pipeline` takes them.
    """

    encoder: Callable[[int], keras.Model]
    views: Callable[[int], keras.layers.Layer]
    method: Callable[..., Objective]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    rate: float
    batch_size: int
    epochs: int
    curve: Curve = _RISE
    image_size: int = 32
    fields: tuple[str, ...] = ("image", "index")

    def at_batch(self, batch_size: int) -> "Preset":
        """The same for another batch: the rate is scaled with it (Goyal et al. 2017, arXiv 1706.02677, section 2.1)."""
        return replace(self, batch_size=batch_size, rate=self.rate * batch_size / self.batch_size)


def _resnet(width: int) -> Callable[[int], keras.Model]:
    return lambda size: backbones.resnet18(width=width, image_size=size, pooling="avg")


def _zoo(name: str) -> Callable[[int], keras.Model]:
    return lambda size: backbones.create(name, image_size=size, pooling="avg")


def _vit(size: int) -> keras.Model:
    # 8 x 8 tokens at any small size: patches of 4 pixels at 32
    return pooled(backbones.vit(depth=4, width=128, heads=4, patch_size=max(size // 8, 2), image_size=size))


def _pair(view: Callable[[int], views.View]) -> Callable[[int], keras.layers.Layer]:
    return lambda size: views.MultiView({"a": view(size), "b": view(size)})


def _single(view: Callable[[int], views.View]) -> Callable[[int], keras.layers.Layer]:
    return lambda size: views.MultiView({"a": view(size)})


def _crops(size: int) -> keras.layers.Layer:
    """SwAV's multi-crop: two of 224 and six of 96 pixels, in their proportion at other sizes."""
    big, small = views.swav(size), views.swav(_small_crop(size), area=(0.05, 0.14))
    return views.MultiView({"a": big, "b": big, **dict.fromkeys("cdefgh", small)})


def _small_crop(size: int) -> int:
    return round(size * 96 / 224)


def _sgd(decay: float) -> Callable[[], keras.optimizers.Optimizer]:
    # the papers add decay * w to the gradient, which momentum sums up: / (1 - .9) in the decoupled form of ours
    return lambda: SGD(momentum=0.9, weight_decay=decay / (1 - 0.9))


def _adamw(beta_2: float, decay: float = 0.05, **options) -> Callable[[], keras.optimizers.Optimizer]:
    def optimizer() -> keras.optimizers.Optimizer:
        made = AdamW(beta_1=0.9, beta_2=beta_2, weight_decay=decay, **options)
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "hidden"])
        return made

    return optimizer


def _lars(decay: float) -> Callable[[], keras.optimizers.Optimizer]:
    # SwAV's code has LARC, whose rate multiplies after the momentum; with a rate that changes slowly they agree
    def optimizer() -> keras.optimizers.Optimizer:
        made = Lars(momentum=0.9, weight_decay=decay)
        made.exclude_from_weight_decay(var_names=["prototypes"])  # they stay as they began while they are frozen
        return made

    return optimizer


def _small_swav() -> keras.optimizers.Optimizer:
    made = AdamW(weight_decay=1e-6)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "prototypes"])
    return made


def _simclr(**options):
    return lambda encoder, made, **_: SimCLR(encoder, made, **options)


def _moco(**options):
    return lambda encoder, made, *, seed, **_: MoCo(encoder, made, seed=seed, **options)


def _npid(**options):
    return lambda encoder, made, *, images, seed, **_: NPID(encoder, made, count=images, seed=seed, **options)


def _swav(*, frozen_epochs: int, crops: bool = False, **options):
    def method(encoder, made, *, steps, image_size, **_):
        sizes = dict.fromkeys("cdefgh", _small_crop(image_size)) if crops else None
        return SwAV(encoder, made, crop_sizes=sizes, frozen_steps=frozen_epochs * steps, **options)

    return method


def _mae(**options):
    return lambda encoder, made, *, seed, **_: MAE(encoder, made, seed=seed, **options)


def _simmim(unit: int | None = None):
    def method(encoder, made, *, image_size, seed, **_):
        return SimMIM(encoder, made, unit=unit or image_size // 4, seed=seed)

    return method


def _supervised(encoder, made, *, classes, **_):
    return Supervised(encoder, made, classes=classes)


_DROPS = Steps(at=(0.6, 0.8), warmup=0.0)  # epochs 120 and 160 of 200
_SIMCLR32 = lambda size: views.simclr(size, strength=0.5, blur=False)  # noqa: E731  # appendix B.9

# "imagenet": the papers' own. Where they trained with more images a step, `batch_size` is theirs all the same: give
# yours to `at_batch`.
_IMAGENET = {
    "supervised": Preset(
        _zoo("ResNet50"), _single(views.supervised), _supervised, _sgd(1e-4), 0.1, 256, 90,
        Steps((1 / 3, 2 / 3), warmup=0.0), fields=("image", "label"),
    ),
    "npid": Preset(_zoo("ResNet50"), _single(views.npid), _npid(negatives=4096), _sgd(1e-4), 0.03, 256, 200, _DROPS),
    "npid_plus_plus": Preset(
        _zoo("ResNet50"), _single(views.npid_plus_plus), _npid(negatives=32_000), _sgd(1e-4), 0.12, 1024, 800, Cosine()
    ),
    "moco": Preset(_zoo("ResNet50"), _pair(views.moco1), _moco(), _sgd(1e-4), 0.03, 256, 200, _DROPS),
    "moco_v2": Preset(
        _zoo("ResNet50"), _pair(views.moco2), _moco(sizes=(2048, 128), temperature=0.2), _sgd(1e-4), 0.03, 256, 200,
        Cosine(),
    ),
    "simclr": Preset(
        _zoo("ResNet50"), _pair(views.simclr), _simclr(sizes=(2048, 128)), _lars(1e-6), 4.8, 4096, 1000, Cosine(0.01)
    ),
    "swav": Preset(
        _zoo("ResNet50"), _crops, _swav(frozen_epochs=1, crops=True), _lars(1e-6), 4.8, 4096, 800, Cosine(0.0125)
    ),
    "mae": Preset(_zoo("ViTSmall16"), _single(views.mae), _mae(), _adamw(0.95), 2.4e-3, 4096, 800, Cosine(0.05)),
    "simmim": Preset(
        _zoo("ViTSmall16"), _single(views.simmim), _simmim(unit=32), _adamw(0.999, clipnorm=5.0), 8e-4, 2048, 100,
        Cosine(0.1),
    ),
}  # fmt: skip

# "small": images of 32 to 96 pixels on two cores, a ResNet-18 of width 16 or a ViT of 4 blocks
_SMALL = {
    "supervised": Preset(
        _resnet(16), _single(views.supervised), _supervised, _sgd(5e-4), 0.1, 128, 100, fields=("image", "label")
    ),
    "npid": Preset(_resnet(16), _single(views.npid), _npid(temperature=0.1), _sgd(5e-4), 0.06, 128, 100),
    "npid_plus_plus": Preset(
        _resnet(16), _single(views.npid_plus_plus), _npid(temperature=0.1), _sgd(5e-4), 0.06, 128, 200
    ),
    "moco": Preset(
        _resnet(16), _pair(views.moco1), _moco(queue_size=4096, temperature=0.1, momentum=0.99, groups=4), _sgd(5e-4),
        0.12, 256, 200,
    ),
    "moco_v2": Preset(
        _resnet(16), _pair(lambda size: views.moco2(size, blur=False)),
        _moco(sizes=(512, 128), queue_size=4096, temperature=0.2, momentum=0.99, groups=4), _sgd(5e-4), 0.12, 256, 200,
    ),
    "simclr": Preset(_resnet(16), _pair(_SIMCLR32), _simclr(temperature=0.5), _sgd(5e-4), 0.12, 256, 200),
    "swav": Preset(
        _resnet(16), _pair(lambda size: views.swav(size, strength=0.5, blur=False)),
        _swav(sizes=(512, 128), prototypes=128, frozen_epochs=1), _small_swav, 2e-3, 256, 200,
    ),
    "mae": Preset(
        _vit, _single(views.mae), _mae(decoder_width=64, decoder_depth=2, decoder_heads=4), _adamw(0.95), 1e-3, 256, 400
    ),
    "simmim": Preset(_vit, _single(views.simmim), _simmim(), _adamw(0.999, clipnorm=5.0), 1e-3, 256, 400),
}  # fmt: skip

METHODS = tuple(_SMALL)


def preset(method: str, size: str = "small") -> Preset:
    """The settings of a method; one of `METHODS`. MoCo v2 and NPID++ are MoCo and NPID with other settings.

    size: "imagenet", of 224 pixels, the papers' own, each as its class documents them; "small", of 32 to 96 pixels on a
    CPU or one GPU; "smoke", a minute. MAE's and SimMIM's encoders are smaller than the papers' ViT-B at either.
    Raises UserError for another name.
    """
    checks.one_of("method", method, METHODS)
    if checks.one_of("size", size, SIZES) == "imagenet":
        return replace(_IMAGENET[method], image_size=224)
    small = _SMALL[method]
    if size == "small":
        return small
    made = small.at_batch(32)
    return replace(
        made,
        epochs=2,
        encoder=_resnet(8) if small.encoder is not _vit else _vit,
        method=_SMOKE.get(method, small.method),
    )


_SMOKE = {  # state no larger than little data can fill
    "moco": _moco(sizes=(32,), queue_size=64, temperature=0.1, momentum=0.9, groups=2),
    "moco_v2": _moco(sizes=(64, 32), queue_size=64, temperature=0.2, momentum=0.9, groups=2),
    "swav": _swav(sizes=(64, 32), prototypes=16, frozen_epochs=0),
}
