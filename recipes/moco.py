"""MoCo: a query finds its image's key among keys of earlier batches (version 2; --version 1).

Reproduces He et al. 2020 (arXiv 1911.05722) and Chen et al. 2020 (arXiv 2003.04297):
features without labels, judged by neighbors and a linear classifier on held-out images, beside the untrained network.

Run:      kvision moco                            scikit-learn's digits, no download
          kvision moco --data FOLDER              one sub-folder per class; the labels are for judging alone
          kvision moco --data FILE.npz --minutes 15
Expect:   CIFAR-10 subset, 10,000 images, --minutes 12: version 2, 50 epochs, linear .530, neighbors .476 of
          2,000 held-out images; untrained .316 and .279 (seed 0, 32 px, 12.4 minutes on 2 CPU cores, in kvision
          ssl-table); --minutes 30 on a CPU of half the speed: version 2, 54 epochs, .531, .490; version 1, 57
          epochs, .533, .479
"""

import dataclasses
import functools
import sys

from kvision import runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]


@dataclasses.dataclass(frozen=True)
class Config(runs.pretraining.Pretraining):
    version: int = runs.setting(2, "1: a linear head and the first paper's views; 2", check=limits.between(1, 2))


SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, lambda config: "moco_v2" if config.version == 2 else "moco")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
