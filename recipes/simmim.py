"""SimMIM: predicts the hidden pixels of an image with one linear layer.

Learns features from images without labels, as in Xie et al. 2021 (arXiv 2111.09886).
Nearest neighbors and a linear classifier then measure the features on the test images. The
features of the untrained network are measured too, for comparison. Only this measurement uses
labels.

Run:      kvision simmim                                    handwritten digits, no download
          kvision simmim --data FOLDER --minutes 15         one sub-folder per class
          kvision simmim --data FOLDER --unlabeled PHOTOS   learns from PHOTOS, without labels
Expect:   kvision ssl-table, CIFAR-10 subset of 10,000 training images, --minutes 12, seed 0, 32 px:
          33 epochs, linear .451, neighbors .295 of 2,000 test images, the loss .65 of its trivial
          value; untrained .410 and .299 (13.7 minutes on 2 CPU cores, each variable's gradient
          clipped, before the learning rate ended at 5 % of its peak)
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
