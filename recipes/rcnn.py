"""Finds objects of several classes in images: R-CNN.

A network describes proposals, a linear SVM for each class or a softmax scores them, and a box
regression moves them (Girshick et al. 2014, arXiv 1311.2524). By default a small network proposes
the regions, and all regions are cut out of one map of the image (RoI-align), which is many times
faster than the paper's warped images (`--crops warp`). The test images are used once, after the
training. If you name several crops or scorers, all are measured and the first one is exported.

Run:      kvision rcnn                                  rendered shapes, no download
          kvision rcnn --data FOLDER                    Pascal VOC, COCO or YOLO
          kvision rcnn --data FOLDER --proposer selective_search --crops roi,warp
Expect:   BCCD (blood cells, 3 classes, 640 x 480), 200 training and 40 test images (--test-fraction
          0.1667 --longest-side 480), seed 0, EfficientNetLite0, 2 CPU cores: mAP at .5 .850 [.793,
          .909] with SVMs, .871 [.818, .922] with the softmax; box regression adds .082 [.058, .104]
          to the mAP at .5 to .95; 2,000 proposals cover .994 of the objects
"""

import dataclasses
import sys
from pathlib import Path

from kvision import runs

__all__ = ["SMOKE", "Config", "load", "run"]


@dataclasses.dataclass(frozen=True)
class Config(runs.regions.RegionSettings):
    """Settings of `kvision rcnn`."""


SMOKE = Config(
    epochs=1, longest_side=128, train_images=8, test_images=4, proposals=20, weights="none", backbone="ResNet20"
)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the rendered data. If None, a temporary folder is used.

    Returns:
        The data of the run.
    """
    return runs.regions.load(config, cache=cache, rotated=False)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains and measures a detector for each of `config.crops` and `config.scorers`.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where finished parts are recorded. If None, nothing is recorded.
        cache: Not used.

    Returns:
        The result. Its model has the first crop and the first scorer.
    """
    return runs.regions.run(split, config, records or runs.Records())


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
