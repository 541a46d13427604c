"""MAE: hides three quarters of each image and reconstructs the image.

Learns features from images without labels, as in He et al. 2021 (arXiv 2111.06377).
Nearest neighbors and a linear classifier then measure the features on the test images. The
features of the untrained network are measured too, for comparison. Only this measurement uses
labels.

Run:      kvision mae                                    handwritten digits, no download
          kvision mae --data FOLDER --minutes 15         one sub-folder per class
          kvision mae --data FOLDER --unlabeled PHOTOS   learns from PHOTOS, without labels
Expect:   kvision ssl-table, CIFAR-10 subset of 10,000 training images, --minutes 12, seed 0, 32 px:
          61 epochs, linear .495, neighbors .470 of 2,000 test images, the loss .60 of its trivial
          value; untrained .410 and .299 (13.7 minutes on 2 CPU cores, before targets and the
          decoder's positions were those of the paper's code)
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
