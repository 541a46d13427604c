"""Losses as plain functions of tensors. They return one float32 value per example, without a reduction.

`PixelLoss` is a `keras.losses.Loss` for `compile`. It combines the losses of pixels.
"""

from kvision.losses.info_nce import info_nce
from kvision.losses.masked import masked_error
from kvision.losses.non_parametric import noise_contrastive, non_parametric_softmax
from kvision.losses.nt_xent import nt_xent
from kvision.losses.pixel_loss import PIXEL_LOSSES, PixelLoss
from kvision.losses.pixels import dice, focal, lovasz_softmax, pixel_cross_entropy
from kvision.losses.swapped_prediction import swapped_prediction

__all__ = [
    "PIXEL_LOSSES",
    "PixelLoss",
    "dice",
    "focal",
    "info_nce",
    "lovasz_softmax",
    "masked_error",
    "noise_contrastive",
    "non_parametric_softmax",
    "nt_xent",
    "pixel_cross_entropy",
    "swapped_prediction",
]
