"""Backbones: images -> features. Some come with their classifier too, to train from the start."""

from kvision.backbones.alexnet import alexnet
from kvision.backbones.any_size import any_size, at_size
from kvision.backbones.auxiliary import inference
from kvision.backbones.create import (
    available,
    create,
    has_imagenet,
    image_size,
    require_imagenet,
    smallest_size,
)
from kvision.backbones.embed import embed, embed_each
from kvision.backbones.googlenet import googlenet
from kvision.backbones.inception_v3 import inception_v3
from kvision.backbones.keras_cv import keras_cv
from kvision.backbones.plain_residual import plain_residual
from kvision.backbones.pyramid import pyramid
from kvision.backbones.resnet18 import resnet18
from kvision.backbones.single import single
from kvision.backbones.stages import stages
from kvision.backbones.vit import transformer, vit, vit_tokens

__all__ = [
    "alexnet",
    "any_size",
    "at_size",
    "available",
    "create",
    "embed",
    "embed_each",
    "googlenet",
    "has_imagenet",
    "image_size",
    "inception_v3",
    "inference",
    "keras_cv",
    "plain_residual",
    "pyramid",
    "require_imagenet",
    "resnet18",
    "single",
    "smallest_size",
    "stages",
    "transformer",
    "vit",
    "vit_tokens",
]
