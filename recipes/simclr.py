"""SimCLR: two views of an image agree, and differ from all others of the batch.

Reproduces Chen et al. 2020 (arXiv 2002.05709, appendix B.9 for CIFAR-10):
features without labels, judged by neighbors and a linear classifier on held-out images, beside the untrained network.

Run:      kvision simclr                            scikit-learn's digits, no download
          kvision simclr --data FOLDER              one sub-folder per class; the labels are for judging alone
          kvision simclr --data FILE.npz --minutes 15
          kvision simclr --data FOLDER --unlabeled PHOTOS      learns from PHOTOS, of any layout, alone
Expect:   CIFAR-10 subset, 10,000 images, --minutes 12: 30 epochs, linear .521, neighbors .473 of 2,000 held-out
          images; untrained .316 and .279 (seed 0, 32 px, 13.4 minutes on 2 CPU cores, in kvision ssl-table);
          --epochs 30, seed 1: .516, .477; untrained .332, .283; seed 2: .503, .452; untrained .343, .287;
          --minutes 30 on a CPU of half the speed, seed 0: 48 epochs, .560, .491;
          --width 64 --epochs 200: .738, .676; untrained .395, .310 (5.7 minutes on one H200,
          beside two other trainings, with KERAS_BACKEND=jax)
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
