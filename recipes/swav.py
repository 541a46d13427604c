"""SwAV: predicts the cluster of one view of an image from a second view.

Learns features from images without labels, as in Caron et al. 2020 (arXiv 2006.09882).
Nearest neighbors and a linear classifier then measure the features on the test images. The
features of the untrained network are measured too, for comparison. Only this measurement uses
labels.

Run:      kvision swav                                    handwritten digits, no download
          kvision swav --data FOLDER --minutes 15         one sub-folder per class
          kvision swav --data FOLDER --unlabeled PHOTOS   learns from PHOTOS, without labels
Expect:   kvision ssl-table, CIFAR-10 subset of 10,000 training images, --minutes 12, seed 0, 32 px:
          31 epochs, linear .508, neighbors .448 of 2,000 test images; untrained .316 and .279
          (12.5 minutes on 2 CPU cores). --minutes 30 on a CPU of half the speed: 37 epochs, .543
          and .471
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
