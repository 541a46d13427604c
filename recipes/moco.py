"""MoCo: finds the other view of an image among views of earlier images.

Learns features from images without labels, as in He et al. 2020 (arXiv 1911.05722) and Chen et al.
2020 (arXiv 2003.04297, version 2).
Nearest neighbors and a linear classifier then measure the features on the test images. The
features of the untrained network are measured too, for comparison. Only this measurement uses
labels.

Run:      kvision moco                                    handwritten digits, no download
          kvision moco --data FOLDER --minutes 15         one sub-folder per class
          kvision moco --data FOLDER --unlabeled PHOTOS   learns from PHOTOS, without labels
Expect:   kvision ssl-table, CIFAR-10 subset of 10,000 training images, --minutes 12, seed 0, 32 px:
          version 2, 50 epochs, linear .530, neighbors .476 of 2,000 test images; untrained .316 and
          .279 (12.4 minutes on 2 CPU cores). --minutes 30 on a CPU of half the speed: version 2,
          54 epochs, .531 and .490; version 1, 57 epochs, .533 and .479
"""

import dataclasses
import functools
import sys

from kvision import runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]


@dataclasses.dataclass(frozen=True)
class Config(runs.pretraining.Pretraining):
    """Settings of `kvision moco`."""

    version: int = runs.setting(
        2, "1 (a linear head, the first paper's views) or 2", group="model", check=limits.between(1, 2)
    )


SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, lambda config: "moco_v2" if config.version == 2 else "moco")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
