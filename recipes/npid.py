"""NPID: every image is a class of its own, known by its place in a memory bank.

Reproduces Wu et al. 2018 (arXiv 1805.01978):
features without labels, judged by neighbors and a linear classifier on held-out images, beside the untrained network.

Run:      kvision npid                            scikit-learn's digits, no download
          kvision npid --data FOLDER              one sub-folder per class; the labels are for judging alone
          kvision npid --data FILE.npz --minutes 15
Expect:   CIFAR-10 subset, 10,000 images, --minutes 12: 51 epochs, linear .483, neighbors .471 of 2,000 held-out images;
          untrained .316 and .279 (seed 0, 32 px, 10.2 minutes on 2 CPU cores, in kvision ssl-table);
          --minutes 30 on a slower CPU: 94 epochs, .556 and .543; NPID++ 73 epochs, .509 and .478;
          --width 64 --epochs 200: .658, .632; untrained .395, .310 (6.6 minutes on one H200,
          beside two other trainings, with KERAS_BACKEND=jax)
"""

import dataclasses
import functools
import sys

from kvision import runs

__all__ = ["SMOKE", "Config", "load", "run"]


@dataclasses.dataclass(frozen=True)
class Config(runs.pretraining.Pretraining):
    plus_plus: bool = runs.setting(False, "NPID++: trained longer (Misra & van der Maaten 2020, arXiv 1912.01991)")


SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)
load = runs.pretraining.load
run = functools.partial(runs.pretraining.run, lambda config: "npid_plus_plus" if config.plus_plus else "npid")


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
