"""Finds objects at any angle, with rotated boxes: R-CNN.

The proposer predicts boxes with an angle, regions are cut out along their own axes, and the box
regression also turns the boxes (Ma et al. 2018, arXiv 1703.01086; Girshick et al. 2014, arXiv
1311.2524). `--boxes rotated,upright` also trains a detector of axis-aligned boxes and measures it
on the same rotated objects. The test images are used once, after the training.

Run:      kvision rcnn-rotated                          rendered shapes, no download
          kvision rcnn-rotated --boxes rotated,upright  compared with axis-aligned boxes
          kvision rcnn-rotated --data FOLDER            folders in the layout of DOTA
Expect:   rendered shapes of 4 classes, 200 training and 50 test images, seed 0, EfficientNetLite0, 2 CPU
          cores, --boxes rotated,upright: rotated mAP at .5 .969 [.949, .987] with SVMs; box regression
          adds .116 [.101, .132] to the mAP at .5 to .95; axis-aligned boxes on the same objects: .187
"""

import dataclasses
import math
import sys
from pathlib import Path

from kvision import runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

BOXES = ("rotated", "upright")


@dataclasses.dataclass(frozen=True)
class Config(runs.regions.RegionSettings):
    """Settings of `kvision rcnn-rotated`."""

    boxes: tuple[str, ...] = runs.setting(
        ("rotated",), "rotated, or also upright to compare", group="model", check=limits.among(BOXES)
    )
    rotate: float = runs.setting(
        math.pi, "turn training images by up to this angle in radians", check=limits.between(0, 3.15)
    )


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
    return runs.regions.load(config, cache=cache, rotated=True)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains and measures a detector for each of `config.boxes`, `config.crops` and `config.scorers`.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where finished parts are recorded. If None, nothing is recorded.
        cache: Not used.

    Returns:
        The result. Its model has the first of `config.boxes`, the first crop and the first scorer.
    """
    records, results = records or runs.Records(), []
    for boxes in config.boxes:
        one = split
        if boxes == "upright":
            train, test = runs.boxed.upright(split.train), runs.boxed.upright(split.test)
            one = dataclasses.replace(split, train=train, test=test)
        prefix = "" if len(config.boxes) == 1 else f"{boxes}-"
        results.append(runs.regions.run(one, config, records, prefix=prefix, truth=split.test))
    rows = {name: row for result in results for name, row in result.metrics.items()}
    return dataclasses.replace(results[0], metrics=rows)


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
