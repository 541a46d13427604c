"""NPID: distinguishes each image from all others by features in a memory bank.

Learns features from images without labels, as in Wu et al. 2018 (arXiv 1805.01978).
Nearest neighbors and a linear classifier then measure the features on the test images. The
features of the untrained network are measured too, for comparison. Only this measurement uses
labels.

Run:      kvision npid                                    handwritten digits, no download
          kvision npid --data FOLDER --minutes 15         one sub-folder per class
          kvision npid --data FOLDER --unlabeled PHOTOS   learns from PHOTOS, without labels
Expect:   kvision ssl-table, CIFAR-10 subset of 10,000 training images, --minutes 12, seed 0, 32 px:
          51 epochs, linear .483, neighbors .471 of 2,000 test images; untrained .316 and .279
          (10.2 minutes on 2 CPU cores). --minutes 30 on a slower CPU: 94 epochs, .556 and .543;
          NPID++ 73 epochs, .509 and .478. --width 64 --epochs 200: .658 and .632; untrained .395
          and .310 (one H200, KERAS_BACKEND=jax)
"""

import dataclasses
import functools
import sys

from kvision import runs

__all__ = ["SMOKE", "Config", "load", "run"]


@dataclasses.dataclass(frozen=True)
class Config(runs.pretraining.Pretraining):
    """Settings of `kvision npid`."""

    plus_plus: bool = runs.setting(False, "NPID++, which trains longer (arXiv 1912.01991)", group="model")


SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, lambda config: "npid_plus_plus" if config.plus_plus else "npid")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
