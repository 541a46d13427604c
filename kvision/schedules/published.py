"""Fine-tuning schedules, most of them published by others, as data for `kv.schedules.fit`.

Each takes epochs (in all; None: its own number), learning_rate (the peak of its last phase; None: its own), images (how
many are trained on), batch_size, and stages (of the backbone, `len(kv.backbones.stages(backbone))`), and gives a
`Schedule`.
BatchNormalization: where a source's rule was made for networks without it, or trains it on more data than people
fine-tune on, its statistics are fixed here; each says so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import keras

from kvision import checks, training
from kvision.schedules.curves import Constant, Cosine, OneCycle, SlantedTriangular, Steps
from kvision.schedules.phases import Phase

__all__ = [
    "SCHEDULES",
    "Schedule",
    "augmented",
    "bit",
    "fine_tune",
    "gradual",
    "keras_guide",
    "lp_ft",
    "schedule",
    "two_phase",
]


@dataclass(frozen=True)
class Schedule:
    """A schedule of fine-tuning: `fit(model, train, s.phases, epochs=s.epochs, optimizer=s.optimizer())`.

    Attributes:
        phases: The phases.
        epochs: The number of epochs of all phases together.
        optimizer: Creates the optimizer.
        head: What the head starts from: "random", "zeros", or "logistic", a fitted `kv.heads.LogisticHead` that
            `kv.transfer.attach` turns into a layer that can train.
        augment: Creates, for a seed, the random changes to images that the source prescribes, for
            `kv.transfer.attach`. None if it prescribes none.
    """

    phases: tuple[Phase, ...]
    epochs: int
    optimizer: Callable[[], keras.optimizers.Optimizer] = training.Adam
    head: str = "random"
    augment: Callable[[int], keras.layers.Layer] | None = None


def two_phase(
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """The head alone for an epoch at 1e-3, then everything at 3e-4, both falling by a cosine; 5 epochs. Ours."""
    epochs = _count(epochs, 5)
    # 1e-3 with fixed statistics ends at chance; moving statistics do not settle in the few hundred steps of a small
    # data set (scikit-learn's digits, 4 epochs: .830 at 1e-3, against .983)
    return _phases([Phase(0, "top", 1e-3), Phase(1, "all", 3e-4)], epochs, learning_rate)


def augmented(
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """`two_phase` for 12 epochs, on images that are flipped. Ours.

    `two_phase` knows 99 % of 8,000 training images after its 5 epochs, so that what more of them could teach is new
    images. Tried beside it with one seed (README's CIFAR-10 subset, by the images that epochs are chosen on: .877), and
    worse: everything at 1e-3 with statistics that train and decay .05 (.859), and cut by RandomResizedCrop (.853).
    """
    return replace(two_phase(epochs=_count(epochs, 12), learning_rate=learning_rate), augment=_flips)


def fine_tune(
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """fastai's `fine_tune`: the head alone for an epoch by one cycle that rises to .99 of it, then everything at half
    the rate by another with rise .3 and div 5, the first stage at a hundredth of the head's rate; Adam (beta_2 .99,
    epsilon 1e-5) with decay .01 on kernels. 5 epochs. There normalization trains in the frozen part too; here it is
    fixed in the first phase. There the network is cut in three groups; here in its stages.
    """
    epochs, peak = _count(epochs, 5), _own(learning_rate, 1e-3)
    phases = [
        Phase(0, "top", 2 * peak, curve=OneCycle(rise=0.99)),
        Phase(1, "all", peak, norm="train", curve=OneCycle(rise=0.3, div=5), layer_decay=100 ** (-1 / stages)),
    ]
    return _phases(phases, epochs, learning_rate, _adamw)


def keras_guide(
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """The transfer-learning guide of keras.io (Chollet): the head at 1e-3 for two thirds of the epochs, then everything
    at 1e-5, Adam, 30 epochs, images flipped and rotated by up to .1 of a turn; with what the guide means by
    `training=False` and Keras 3 does not do: fixed statistics. Its dropout of .2 before the head is left out.
    """
    epochs = _count(epochs, 30)
    phases = [
        Phase(0, "top", 1e-3, curve=Constant()),
        Phase(max(1, 2 * epochs // 3), "all", 1e-5, curve=Constant()),
    ]
    return _phases(phases, epochs, learning_rate, augment=_flips_and_rotations)


def bit(
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """The BiT-HyperRule (Kolesnikov et al. 2020, arXiv 1912.11370, section 3.3): everything from the first step, a head
    of zeros, SGD with momentum .9 and no decay, rate .003 for 512 images a step (here in proportion to `batch_size`),
    a rise and three falls. The number of epochs is that of 500 (under 20,000 images), 10,000 or 20,000 steps of 512.
    Its networks have no BatchNormalization, so that statistics are fixed. Images are flipped; its random crops (128 out
    of 160 pixels for images below 96, else 480 out of 512) and its mixup from 20,000 images on are left out.
    """
    if epochs is None and images < 1:
        raise checks.error("images", expected="how many are trained on, which the rule counts by", received=images)
    small = images < 20_000
    steps_of_512 = 500 if small else 10_000 if images < 500_000 else 20_000
    epochs = _count(epochs, max(1, math.ceil(steps_of_512 * 512 / max(images, 1))))
    curve = Steps() if small else Steps(at=(0.3, 0.6, 0.9), warmup=500 / steps_of_512)
    phases = [Phase(0, "all", 0.003 * batch_size / 512, norm="stats", curve=curve)]
    return _phases(phases, epochs, learning_rate, partial(training.SGD, momentum=0.9), head="zeros", augment=_flips)


def lp_ft(
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """Linear probing, then fine-tuning (Kumar et al. 2022, arXiv 2202.10054, section 4): the head begins as the
    solution of logistic regression on the frozen features, so that the backbone is not bent towards a random one. 5
    epochs. The paper looks for the rate on a grid and uses SGD; ours is Adam's.
    """
    phases = [Phase(0, "all", 3e-4, curve=Cosine(warmup=0.1))]
    return _phases(phases, _count(epochs, 5), learning_rate, head="logistic")


def gradual(
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """Gradual unfreezing with discriminative rates (Howard & Ruder 2018, arXiv 1801.06146, sections 3.2 and 3.3): the
    head, then a stage more each epoch, each stage at the rate of the one above it divided by 2.6, one slanted triangle
    over all of it. 8 epochs; with fewer than groups, the last of them opens what is left. The source is on text.
    """
    epochs = _count(epochs, 8)
    opened = ["top", *(f"stage{n}" for n in range(stages, 1, -1)), "all"]
    phases = [Phase(0, "top", _own(learning_rate, 1e-3), curve=SlantedTriangular(), layer_decay=1 / 2.6)]
    for epoch in range(1, min(epochs, len(opened))):
        above = opened[epoch] if epoch < epochs - 1 else "all"
        phases.append(Phase(epoch, above, norm="stats", layer_decay=1 / 2.6))
    return _phases(phases, epochs, learning_rate)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "two_phase": two_phase,
    "augmented": augmented,
    "fine_tune": fine_tune,
    "lp_ft": lp_ft,
    "gradual": gradual,
    "keras_guide": keras_guide,
    "bit": bit,
}


def schedule(name: str, **options) -> Schedule:
    """Returns the schedule of that name; options: as all of them take."""
    return SCHEDULES[checks.one_of("schedule", name, SCHEDULES)](**options)


def _count(epochs: int | None, own: int) -> int:
    if epochs is not None and epochs < 1:
        raise checks.error("epochs", expected="a count of at least 1", received=epochs)
    return own if epochs is None else epochs


def _own(rate: float | None, own: float) -> float:
    return own if rate is None else rate


def _phases(
    phases: list[Phase], epochs: int, learning_rate: float | None, optimizer: Callable = training.Adam, **others
) -> Schedule:
    phases = [phase for phase in phases if phase.epoch < epochs]
    # The learning rate is that of the last phase that is left, also if the phase that it was meant for is not.
    if learning_rate is not None and phases[-1].learning_rate is not None:
        phases[-1] = replace(phases[-1], learning_rate=learning_rate)
    return Schedule(tuple(phases), epochs, optimizer, **others)


def _flips(seed: int) -> keras.layers.Layer:
    return keras.layers.RandomFlip("horizontal", seed=seed, name="augment")


def _flips_and_rotations(seed: int) -> keras.layers.Layer:
    layers = [keras.layers.RandomFlip("horizontal", seed=seed), keras.layers.RandomRotation(0.1, seed=seed + 1)]
    return keras.Sequential(layers, name="augment")


def _adamw() -> keras.optimizers.Optimizer:
    optimizer = training.Adam(beta_2=0.99, epsilon=1e-5, weight_decay=0.01)
    optimizer.decay_kernels_only()
    return optimizer
