"""Losses as plain functions of tensors. They return one float32 value per example, without a reduction.

`PixelLoss`, `EdgedLoss`, `ChromaLoss`, `ChromaBinLoss`, `CandidateLoss`, `RegionLoss` and `LocatedBoxLoss` are
`keras.losses.Loss` classes for `compile`, for segmentation, coloring and detection.
"""

from kvision.losses.candidates import CandidateLoss, candidate_losses
from kvision.losses.chroma import ChromaBinLoss, ChromaLoss, chroma_bin_losses, chroma_losses
from kvision.losses.edged_loss import EdgedLoss
from kvision.losses.edges import edge_attention, edge_cross_entropy
from kvision.losses.info_nce import info_nce
from kvision.losses.located_box import LocatedBoxLoss, located_box_losses
from kvision.losses.masked import masked_error
from kvision.losses.non_parametric import noise_contrastive, non_parametric_softmax
from kvision.losses.nt_xent import nt_xent
from kvision.losses.pixel_loss import PIXEL_LOSSES, PixelLoss
from kvision.losses.pixels import dice, focal, lovasz_softmax, pixel_cross_entropy
from kvision.losses.region_classes import RegionLoss, region_losses
from kvision.losses.swapped_prediction import swapped_prediction
from kvision.losses.temporal import temporal_error

__all__ = [
    "PIXEL_LOSSES",
    "CandidateLoss",
    "EdgedLoss",
    "ChromaBinLoss",
    "ChromaLoss",
    "LocatedBoxLoss",
    "PixelLoss",
    "RegionLoss",
    "candidate_losses",
    "chroma_bin_losses",
    "chroma_losses",
    "dice",
    "edge_attention",
    "edge_cross_entropy",
    "focal",
    "info_nce",
    "located_box_losses",
    "lovasz_softmax",
    "masked_error",
    "noise_contrastive",
    "non_parametric_softmax",
    "nt_xent",
    "pixel_cross_entropy",
    "region_losses",
    "swapped_prediction",
    "temporal_error",
]
