"""Fine-tuning schedules as data for `kv.schedules.fit`. Most of them come from published work.

Some sources use networks without BatchNormalization, or train its statistics on more data than is usual in fine-tuning.
For these schedules kvision fixes the statistics. The description of each schedule mentions this.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import keras

from kvision import checks, training
from kvision.schedules.curves import Constant, Cosine, OneCycle, SlantedTriangular, Steps
from kvision.schedules.phases import Phase

__all__ = ["SCHEDULES", "Schedule", "schedule"]


@dataclass(frozen=True)
class Schedule:
    """A fine-tuning schedule: the arguments of `kv.schedules.fit`, and the start of the head.

    Attributes:
        phases: The phases.
        epochs: Number of epochs of all phases together.
        optimizer: A function that creates the optimizer.
        head: The start of the head: `"random"`, `"zeros"` or `"logistic"`. `"logistic"` is a fitted
            `kv.heads.LogisticHead`, which `kv.transfer.attach` converts to a trainable layer.
        augment: A function that takes a seed and creates the augmentation of the source, for `kv.transfer.attach`. None
            if the source uses no augmentation.
    """

    phases: tuple[Phase, ...]
    epochs: int
    optimizer: Callable[[], keras.optimizers.Optimizer] = training.Adam
    head: str = "random"
    augment: Callable[[int], keras.layers.Layer] | None = None


class _Given(NamedTuple):
    """The arguments of `schedule`, under the same names."""

    epochs: int | None
    learning_rate: float | None
    images: int
    batch_size: int
    stages: int


def schedule(
    name: str,
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    images: int = 0,
    batch_size: int = 32,
    stages: int = 5,
) -> Schedule:
    """Returns a fine-tuning schedule by its name.

    - `"two_phase"` (ours, 5 epochs): the head alone for one epoch at 1e-3, then everything at 3e-4. Both phases follow
      a cosine.
    - `"augmented"` (ours, 12 epochs): `"two_phase"` on randomly flipped images.
    - `"fine_tune"` (fastai, 5 epochs): the head alone for one epoch, then everything at half the learning rate. The
      first stage trains at a hundredth of the head's learning rate. Each phase follows one cycle. The optimizer is Adam
      (beta_2 .99, epsilon 1e-5) with decay .01 on kernels. In fastai normalization trains in the frozen part too. Here
      it is fixed in the first phase. fastai divides the network into three groups. Here the groups are the stages.
    - `"lp_ft"` (linear probing, then fine-tuning; 5 epochs): the head starts as the solution of a logistic regression
      on the frozen features, so that a random head does not distort the backbone. The paper uses SGD and searches the
      learning rate on a grid. Here the optimizer is Adam with one learning rate.
    - `"gradual"` (gradual unfreezing, 8 epochs): the head alone first, then one more stage in each epoch, along one
      slanted triangle. The learning rate of a stage is the learning rate of the stage above divided by 2.6. If there
      are fewer epochs than stages, the last epoch trains everything. The experiments of the paper are on text.
    - `"keras_guide"` (keras.io, 30 epochs): the head at 1e-3 for two thirds of the epochs, then everything at 1e-5.
      Images are randomly flipped, and rotated by up to .1 of a turn. Statistics are fixed, as in the guide with
      `training=False`. The guide's dropout of .2 before the head is left out.
    - `"bit"` (BiT-HyperRule; the number of epochs follows from 500, 10,000 or 20,000 steps of 512 images): everything
      trains from the first step, the head starts from zeros, and the optimizer is SGD with momentum .9. The learning
      rate is .003 for 512 images per step, in proportion to the batch size, and falls three times. Statistics are
      fixed, because the networks of the paper have no BatchNormalization. Images are randomly flipped. The crops and
      the mixup of the paper are left out.

    Args:
        name: One of these names, the keys of `kv.schedules.SCHEDULES`.
        epochs: Number of epochs. Defaults to the number of the schedule. Phases that begin after the last epoch are
            left out.
        learning_rate: The learning rate at the peak of the last phase that remains. Defaults to the learning rate of
            the schedule.
        images: Number of training images. `"bit"` computes its number of epochs from it.
        batch_size: Number of images in a batch. `"bit"` scales its learning rate in proportion to it.
        stages: Number of stages of the backbone, `len(kv.backbones.stages(backbone))`, for `"fine_tune"` and
            `"gradual"`.

    Returns:
        The schedule.

    Raises:
        UserError: If the name is unknown, a number is out of range, or `"bit"` is given neither `epochs` nor `images`.

    Example:
        >>> schedule = kv.schedules.schedule("two_phase", epochs=3)
        >>> [(phase.epoch, phase.above, phase.learning_rate) for phase in schedule.phases]
        [(0, 'top', 0.001), (1, 'all', 0.0003)]

    References:
        "lp_ft": Kumar et al. 2022, arXiv 2202.10054, section 4. "gradual": Howard and Ruder 2018, arXiv 1801.06146,
        sections 3.2 and 3.3. "bit": Kolesnikov et al. 2020, arXiv 1912.11370, section 3.3.
    """
    checks.one_of("name", name, SCHEDULES)
    checks.positive({"learning_rate": learning_rate})
    if epochs is not None and epochs < 1:
        raise checks.UserError("epochs", expected="a number of at least 1", received=epochs)
    found = SCHEDULES[name](_Given(epochs, learning_rate, images, batch_size, stages))
    phases = [phase for phase in found.phases if phase.epoch < found.epochs]
    if learning_rate is not None and phases[-1].learning_rate is not None:
        phases[-1] = replace(phases[-1], learning_rate=learning_rate)
    return replace(found, phases=tuple(phases))


# Training everything at 1e-3 with fixed statistics gives the accuracy of chance. Moving statistics do not settle in the
# few hundred steps of a small data set: on scikit-learn's digits the accuracy after 4 epochs at 1e-3 is .830, against
# .983.
_TWO_PHASE = (Phase(0, "top", 1e-3), Phase(1, "all", 3e-4))


def _two_phase(given: _Given) -> Schedule:
    """Ours."""
    return Schedule(_TWO_PHASE, given.epochs or 5)


def _augmented(given: _Given) -> Schedule:
    """Ours: `two_phase` with more epochs, on flipped images."""
    return Schedule(_TWO_PHASE, given.epochs or 12, augment=_flips)


def _fine_tune(given: _Given) -> Schedule:
    """`fine_tune` of fastai."""
    peak = given.learning_rate or 1e-3
    everything = Phase(
        1, "all", peak, norm="train", curve=OneCycle(rise=0.3, div=5), layer_decay=100 ** (-1 / given.stages)
    )
    return Schedule((Phase(0, "top", 2 * peak, curve=OneCycle(rise=0.99)), everything), given.epochs or 5, _adamw)


def _keras_guide(given: _Given) -> Schedule:
    """The transfer-learning guide of keras.io (Chollet)."""
    epochs = given.epochs or 30
    everything = Phase(max(1, 2 * epochs // 3), "all", 1e-5, curve=Constant())
    return Schedule((Phase(0, "top", 1e-3, curve=Constant()), everything), epochs, augment=_flips_and_rotations)


def _bit(given: _Given) -> Schedule:
    """The BiT-HyperRule (Kolesnikov et al. 2020, arXiv 1912.11370, section 3.3)."""
    if given.epochs is None and given.images < 1:
        raise checks.UserError("images", expected="the number of training images", received=given.images)
    small = given.images < 20_000
    steps_of_512 = 500 if small else 10_000 if given.images < 500_000 else 20_000
    epochs = given.epochs or max(1, math.ceil(steps_of_512 * 512 / given.images))
    curve = Steps() if small else Steps(at=(0.3, 0.6, 0.9), warmup=500 / steps_of_512)
    phase = Phase(0, "all", 0.003 * given.batch_size / 512, norm="stats", curve=curve)
    return Schedule((phase,), epochs, partial(training.SGD, momentum=0.9), head="zeros", augment=_flips)


def _lp_ft(given: _Given) -> Schedule:
    """Linear probing, then fine-tuning (Kumar et al. 2022, arXiv 2202.10054, section 4)."""
    return Schedule((Phase(0, "all", 3e-4, curve=Cosine(warmup=0.1)),), given.epochs or 5, head="logistic")


def _gradual(given: _Given) -> Schedule:
    """Gradual unfreezing (Howard and Ruder 2018, arXiv 1801.06146, sections 3.2 and 3.3)."""
    epochs = given.epochs or 8
    opened = ["top", *(f"stage{number}" for number in range(given.stages, 1, -1)), "all"][:epochs]
    phases = [Phase(0, "top", given.learning_rate or 1e-3, curve=SlantedTriangular(), layer_decay=1 / 2.6)]
    for epoch in range(1, len(opened)):
        above = opened[epoch] if epoch < epochs - 1 else "all"
        phases.append(Phase(epoch, above, norm="stats", layer_decay=1 / 2.6))
    return Schedule(tuple(phases), epochs)


SCHEDULES: dict[str, Callable[[_Given], Schedule]] = {
    "two_phase": _two_phase,
    "augmented": _augmented,
    "fine_tune": _fine_tune,
    "lp_ft": _lp_ft,
    "gradual": _gradual,
    "keras_guide": _keras_guide,
    "bit": _bit,
}


def _flips(seed: int) -> keras.layers.Layer:
    return keras.layers.RandomFlip("horizontal", seed=seed, name="augment")


def _flips_and_rotations(seed: int) -> keras.layers.Layer:
    layers = [keras.layers.RandomFlip("horizontal", seed=seed), keras.layers.RandomRotation(0.1, seed=seed + 1)]
    return keras.Sequential(layers, name="augment")


def _adamw() -> keras.optimizers.Optimizer:
    optimizer = training.Adam(beta_2=0.99, epsilon=1e-5, weight_decay=0.01)
    optimizer.decay_kernels_only()
    return optimizer
