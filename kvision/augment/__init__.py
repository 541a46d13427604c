"""Random augmentations of images for self-supervised training, in the training step on any backend or in tf.data."""

from kvision.augment.blur import GaussianBlur
from kvision.augment.color import ColorJitter, RandomGray, Solarize
from kvision.augment.crop import RandomResizedCrop
from kvision.augment.keys import Key, Keyed, fold, next_key
from kvision.augment.multi import MultiView
from kvision.augment.papers import mae, moco1, moco2, npid, npid_plus_plus, simclr, simmim, supervised, swav
from kvision.augment.view import View

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "Key",
    "Keyed",
    "MultiView",
    "RandomGray",
    "RandomResizedCrop",
    "Solarize",
    "View",
    "fold",
    "mae",
    "moco1",
    "moco2",
    "next_key",
    "npid",
    "npid_plus_plus",
    "simclr",
    "simmim",
    "supervised",
    "swav",
]
