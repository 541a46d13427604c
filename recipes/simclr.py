"""SimCLR: two views of an image agree, and differ from all other images.

Learns features from images without labels, as in Chen et al. 2020 (arXiv 2002.05709, B.9).
Nearest neighbors and a linear classifier then measure the features on the test images. The
features of the untrained network are measured too, for comparison. Only this measurement uses
labels.

Run:      kvision simclr                                    handwritten digits, no download
          kvision simclr --data FOLDER --minutes 15         one sub-folder per class
          kvision simclr --data FOLDER --unlabeled PHOTOS   learns from PHOTOS, without labels
Expect:   kvision ssl-table, CIFAR-10 subset of 10,000 training images, --minutes 12, seed 0, 32 px:
          30 epochs, linear .521, neighbors .473 of 2,000 test images; untrained .316 and .279
          (13.4 minutes on 2 CPU cores). --width 64 --epochs 200: .738 and .676; untrained .395 and
          .310 (one H200, KERAS_BACKEND=jax)
"""

import functools
import sys

from kvision import runs

__all__ = ["SMOKE", "Config", "load", "run"]

Config = runs.pretraining.Pretraining
SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, "simclr")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
