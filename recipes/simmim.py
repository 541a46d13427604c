"""SimMIM: hidden patches' pixels are predicted by one linear layer.

Reproduces Xie et al. 2021 (arXiv 2111.09886):
features without labels, judged by neighbors and a linear classifier on held-out images, beside the untrained network.

Run:      kvision simmim                            scikit-learn's digits, no download
          kvision simmim --data FOLDER              one sub-folder per class; the labels are for judging alone
          kvision simmim --data FILE.npz --minutes 15
Expect:   CIFAR-10 subset, 10,000 images, --minutes 12: 33 epochs, linear .451, neighbors .295 of 2,000 held-out
          images, the loss .65 of its trivial value; untrained .410 and .299 (seed 0, 32 px, 13.7 minutes on 2
          CPU cores, in kvision ssl-table, each variable's gradient clipped; .450, .296 and .65 on a slower CPU with
          --minutes 30, clipped as now); all before the learning rate ended at 5 % of its peak
"""

import functools
import sys

from kvision import runs

__all__ = ["SMOKE", "Config", "load", "run"]

Config = runs.pretraining.Pretraining
SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, "simmim")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
