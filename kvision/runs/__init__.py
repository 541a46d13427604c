"""Code that all recipes share: settings and flags, the folder of a run, the report and the export.

Importing this package loads neither TensorFlow nor Keras.
"""

from kvision.runs import (
    bad_images,
    boxed,
    colored,
    decoders,
    few_labels,
    labeled,
    located,
    masked,
    pretraining,
    refined,
    regions,
)
from kvision.runs.ending import ended, told_of_sigterm
from kvision.runs.folder import run_folder
from kvision.runs.main import main
from kvision.runs.pictures import draw
from kvision.runs.pool import Pool
from kvision.runs.process import device, start
from kvision.runs.records import Records
from kvision.runs.result import Result, Split
from kvision.runs.settings import (
    Settings,
    add_flags,
    backbone_setting,
    precision_setting,
    setting,
    weights_setting,
)
from kvision.runs.train import trained
from kvision.runs.wrong_images import Answers

__all__ = [
    "Answers",
    "Pool",
    "Records",
    "Result",
    "Settings",
    "Split",
    "add_flags",
    "backbone_setting",
    "bad_images",
    "boxed",
    "decoders",
    "colored",
    "device",
    "draw",
    "ended",
    "few_labels",
    "labeled",
    "located",
    "main",
    "masked",
    "precision_setting",
    "pretraining",
    "refined",
    "regions",
    "run_folder",
    "setting",
    "start",
    "told_of_sigterm",
    "trained",
    "weights_setting",
]
