"""All methods and their presets, by name."""

from kvision import checks
from kvision.choices import SIZES
from kvision.selfsup import mae, moco, npid, simclr, simmim, supervised, swav
from kvision.selfsup.presets import Preset

__all__ = ["METHODS", "SIZES", "preset"]

_MODULES = (supervised, npid, moco, simclr, swav, mae, simmim)  # In the order of the rows of a table.
_PRESETS = {name: sizes for module in _MODULES for name, sizes in module.PRESETS.items()}

METHODS = tuple(_PRESETS)


def preset(method: str, size: str = "small") -> Preset:
    """Returns the hyper-parameters of a method.

    Args:
        method: One of `kv.selfsup.METHODS`. MoCo v2 and NPID++ are `MoCo` and `NPID` with different hyper-parameters.
        size: "small" for images of 32 to 96 pixels on a CPU or one GPU, "imagenet" for images of 224 pixels with the
            paper's hyper-parameters, or "smoke" for a trial run of one minute. The encoders of MAE and SimMIM are
            smaller than the paper's ViT-B in all sizes.

    Returns:
        The preset, with functions that create the encoder, the views, the method and the optimizer.

    Raises:
        UserError: If the method or the size is not known.

    Example:
        >>> preset = kv.selfsup.preset("simclr")
        >>> preset.learning_rate, preset.batch_size, preset.epochs
        (0.12, 256, 200)
    """
    checks.one_of("method", method, METHODS)
    return _PRESETS[method][checks.one_of("size", size, SIZES)]
