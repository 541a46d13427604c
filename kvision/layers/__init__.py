"""The Keras layers of kvision's models. They are registered as `kvision>Name`, so that saved models load them."""

from kvision.layers.batch_normalization import BatchNormalization, fuse_norms
from kvision.layers.body import Body
from kvision.layers.chain import Chain
from kvision.layers.chroma_scores import AnnealedMean, ChromaScores
from kvision.layers.column_scaling import ColumnScaling
from kvision.layers.crop_like import CropLike
from kvision.layers.decision import Decision
from kvision.layers.decision_forest import DecisionForest
from kvision.layers.detections import Detections
from kvision.layers.dilated_pooling import DilatedPooling
from kvision.layers.edge_fusion import EdgeFusion
from kvision.layers.gray import Gray
from kvision.layers.grid import Grid
from kvision.layers.hint_attention import HintAttention
from kvision.layers.hypercolumns import Hypercolumns
from kvision.layers.local_response_norm import LocalResponseNorm
from kvision.layers.located_object import LocatedObject
from kvision.layers.moved_boxes import MovedBoxes
from kvision.layers.nearest_neighbors import NearestNeighbors
from kvision.layers.preprocess import Preprocess
from kvision.layers.proposals import Candidates, Proposals
from kvision.layers.pyramid import Pyramid
from kvision.layers.recolor import Recolor
from kvision.layers.regions import Regions
from kvision.layers.regroup import Regroup
from kvision.layers.resize_like import ResizeLike
from kvision.layers.sin_cos_positions import SinCosPositions
from kvision.layers.soft_argmax import SoftArgmax
from kvision.layers.sub_pixel import ICNR, SubPixelConvolution
from kvision.layers.support_vectors import SupportVectors
from kvision.layers.transposed_convolution import BilinearKernel, TransposedConvolution
from kvision.layers.unpooling import BedOfNails, MaxUnpooling, SwitchedMaxPooling
from kvision.layers.windowed_crf import WindowedCRF
from kvision.layers.zero_padded_shortcut import ZeroPaddedShortcut

__all__ = [
    "AnnealedMean",
    "BatchNormalization",
    "BedOfNails",
    "BilinearKernel",
    "Body",
    "Candidates",
    "Chain",
    "ChromaScores",
    "ColumnScaling",
    "CropLike",
    "Decision",
    "DecisionForest",
    "Detections",
    "DilatedPooling",
    "EdgeFusion",
    "Gray",
    "Grid",
    "HintAttention",
    "Hypercolumns",
    "ICNR",
    "LocalResponseNorm",
    "LocatedObject",
    "MaxUnpooling",
    "MovedBoxes",
    "NearestNeighbors",
    "Preprocess",
    "Proposals",
    "Pyramid",
    "Recolor",
    "Regions",
    "Regroup",
    "ResizeLike",
    "SinCosPositions",
    "SoftArgmax",
    "SubPixelConvolution",
    "SupportVectors",
    "SwitchedMaxPooling",
    "TransposedConvolution",
    "WindowedCRF",
    "ZeroPaddedShortcut",
    "fuse_norms",
]
