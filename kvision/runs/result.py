"""What a recipe's `load` and `run` return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kvision.runs.wrong_images import Answers

if TYPE_CHECKING:
    import keras

    from kvision.export import Task

__all__ = ["Data", "Result"]


@dataclass(frozen=True)
class Data:
    """train: what is learned from. val: held-out images, read once, for the report. bad_images: left out, with reasons.

    name: one line for people. fingerprint: changes with any image or split. notes: what else a reader should know.
    unlabeled: images to learn from instead of `train`, which then judges alone; handed to the recipe's `run` where
    there are some.
    """

    train: Any
    val: Any
    class_names: tuple[str, ...]
    bad_images: Sequence[Any]
    name: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    unlabeled: Any = None


@dataclass(frozen=True)
class Result:
    """model: the best one. history: logs by name, one an epoch. metrics: {name: {score, "interval", "seconds", ...}}.

    best: the name in metrics that `model` is. pictures: {file name: function that draws on matplotlib axes}.
    task: what the model answers; its score is the metric that the table shows. columns: what the first and the last
    column of the printed table are, names and "chosen". probe: images to compare the export on; None takes some of
    `val`. deciding: further columns of the table, {heading: metric}, by which the best was chosen,
    and rule: how, in a sentence. answers: of a classifier, what `model` says of the test images.
    """

    model: "keras.Model"
    history: dict[str, list[float]]
    metrics: dict[str, dict]
    best: str
    task: "Task"
    pictures: dict[str, Callable] = field(default_factory=dict)
    columns: tuple[str, str] = ("head", "chosen on a split of the training images")
    probe: Any = None
    deciding: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""
    answers: Answers | None = None
