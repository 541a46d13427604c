"""Random views of images, for self-supervised training: in the model's step on any backend, or in tf.data."""

from kvision.views.blur import GaussianBlur
from kvision.views.color import ColorJitter, RandomGray, Solarize
from kvision.views.crop import RandomResizedCrop
from kvision.views.keys import Key, Keyed, fold, next_key
from kvision.views.multi import MultiView
from kvision.views.papers import mae, moco1, moco2, npid, npid_plus_plus, simclr, simmim, supervised, swav
from kvision.views.view import View

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
