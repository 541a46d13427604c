"""MAE: three quarters of an image's patches are hidden, and regressed from the rest.

Reproduces He et al. 2021 (arXiv 2111.06377):
features without labels, judged by neighbors and a linear classifier on held-out images, beside the untrained network.

Run:      kvision mae                            scikit-learn's digits, no download
          kvision mae --data FOLDER              one sub-folder per class; the labels are for judging alone
          kvision mae --data FILE.npz --minutes 15
Expect:   CIFAR-10 subset, 10,000 images, --minutes 12: 61 epochs, linear .495, neighbors .470 of 2,000 held-out
          images, the loss .60 of its trivial value; untrained .410 and .299 (seed 0, 32 px, 13.7 minutes on 2
          CPU cores, in kvision ssl-table); --minutes 30 on a slower CPU: 54 epochs, .485, .462 and .61; all before
          targets and the decoder's positions were those of the paper's code
"""

import functools
import sys

from kvision import runs

__all__ = ["SMOKE", "Config", "load", "run"]

Config = runs.pretraining.Pretraining
SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, "mae")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
