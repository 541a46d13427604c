"""Backbones, which turn images into features, and classifiers of published architectures to train from scratch."""

from kvision.backbones.alexnet import alexnet
from kvision.backbones.any_size import any_size, at_size
from kvision.backbones.auxiliary import SharedLabels, inference
from kvision.backbones.create import (
    Info,
    available,
    create,
    info,
    require_imagenet,
)
from kvision.backbones.googlenet import googlenet
from kvision.backbones.inception_v3 import inception_v3
from kvision.backbones.keras_cv import keras_cv
from kvision.backbones.layer_maps import layer_maps
from kvision.backbones.plain_residual import plain_residual
from kvision.backbones.pyramid import pyramid
from kvision.backbones.resnet18 import resnet18
from kvision.backbones.stages import stages
from kvision.backbones.super_small import super_small
from kvision.backbones.vit import transformer, vit, vit_tokens

__all__ = [
    "Info",
    "SharedLabels",
    "alexnet",
    "any_size",
    "at_size",
    "available",
    "create",
    "googlenet",
    "info",
    "inception_v3",
    "inference",
    "keras_cv",
    "plain_residual",
    "pyramid",
    "require_imagenet",
    "resnet18",
    "stages",
    "super_small",
    "transformer",
    "vit",
    "vit_tokens",
    "layer_maps",
]
