"""Random augmentations of images: in the training step on any backend, in tf.data, or together with masks and boxes."""

from kvision.augment.blur import GaussianBlur
from kvision.augment.color import ColorJitter, RandomGray, Solarize
from kvision.augment.crop import RandomResizedCrop
from kvision.augment.frames import FrameAugment
from kvision.augment.joint import JointAugment
from kvision.augment.keys import Key, Keyed, fold, next_key
from kvision.augment.multi import MultiView
from kvision.augment.papers import mae, moco1, moco2, npid, npid_plus_plus, simclr, simmim, supervised, swav
from kvision.augment.projective import move_objects, move_points, projective, warp
from kvision.augment.view import View

__all__ = [
    "ColorJitter",
    "FrameAugment",
    "GaussianBlur",
    "JointAugment",
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
    "move_objects",
    "move_points",
    "next_key",
    "npid",
    "npid_plus_plus",
    "projective",
    "simclr",
    "simmim",
    "supervised",
    "swav",
    "warp",
]
