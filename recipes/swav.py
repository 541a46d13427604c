"""SwAV: views of an image predict each other's place among prototypes.

Reproduces Caron et al. 2020 (arXiv 2006.09882):
features without labels, judged by neighbors and a linear classifier on held-out images, beside the untrained network.

Run:      kvision swav                            scikit-learn's digits, no download
          kvision swav --data FOLDER              one sub-folder per class; the labels are for judging alone
          kvision swav --data FILE.npz --minutes 15
Expect:   CIFAR-10 subset, 10,000 images, --minutes 12: 31 epochs, linear .508, neighbors .448 of 2,000 held-out images;
          untrained .316 and .279 (seed 0, 32 px, 12.5 minutes on 2 CPU cores, in kvision ssl-table);
          --minutes 30 on a CPU of half the speed: 37 epochs, .543, .471
"""

import functools
import sys

from kvision import runs

__all__ = ["SMOKE", "Config", "load", "run"]

Config = runs.pretraining.Pretraining
SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, "swav")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
