"""All methods by name, with the settings that stand in each one's module."""

from kvision import checks
from kvision.choices import SIZES
from kvision.selfsup import mae, moco, npid, simclr, simmim, supervised, swav
from kvision.selfsup.presets import Preset

__all__ = ["METHODS", "SIZES", "preset"]

_MODULES = (supervised, npid, moco, simclr, swav, mae, simmim)  # the order of the rows of a table
_PRESETS = {name: sizes for module in _MODULES for name, sizes in module.PRESETS.items()}

METHODS = tuple(_PRESETS)


def preset(method: str, size: str = "small") -> Preset:
    """The settings of a method; one of `METHODS`. MoCo v2 and NPID++ are MoCo and NPID with other settings.

    size: "imagenet", of 224 pixels, the papers' own, each as its class documents them; "small", of 32 to 96 pixels on a
    CPU or one GPU; "smoke", a minute. MAE's and SimMIM's encoders are smaller than the papers' ViT-B at either.
    Raises UserError for another name.
    """
    checks.one_of("method", method, METHODS)
    return _PRESETS[method][checks.one_of("size", size, SIZES)]
