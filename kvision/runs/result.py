"""The data of a run, which a recipe's `load` returns, and the result of a run, which its `run` returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kvision.runs.wrong_images import Answers

if TYPE_CHECKING:
    import keras

    from kvision.export import Task

__all__ = ["Result", "Split"]


@dataclass(frozen=True)
class Split:
    """The data of a run.

    Attributes:
        train: Images to train on.
        test: Images for the report, used once.
        class_names: Names of the classes, in the order of their labels.
        bad_images: Files that cannot be used, with the reasons.
        name: One line that describes the data.
        fingerprint: A hash that changes with any image, label or part.
        notes: Notes on the data for the user, in sentences.
        validation: Images for choosing models and settings. If None, a recipe that needs such images takes a part of
            `train`.
        unlabeled: Images without labels to learn from. If given, the labeled images are only used for the evaluation.
    """

    train: Any
    test: Any
    class_names: tuple[str, ...]
    bad_images: Sequence[Any]
    name: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    validation: Any = None
    unlabeled: Any = None


@dataclass(frozen=True)
class Result:
    """The result of a run. A recipe's `run` returns it.

    Attributes:
        model: The best model.
        history: The logs of the model's training. Each log has a name and one value per epoch.
        metrics: The measurements of each trained model: the score, "interval", "seconds", "chosen" and more.
        best: The name of `model` in `metrics`.
        task: The task of the model. The printed table shows the score of this task.
        pictures: Keys are file names. Values are functions that draw on matplotlib axes.
        columns: Headings of the first column (names) and the last column ("chosen") of the printed table.
        probe: Images for comparing the export with the model. If None, some test images are used.
        deciding: The metrics that decided which model is best, as more columns. Keys are headings, values are metrics.
        rule: A sentence that explains how the best model was chosen.
        answers: A classifier's answers for the test images.
    """

    model: "keras.Model"
    history: dict[str, list[float]]
    metrics: dict[str, dict]
    best: str
    task: "Task"
    pictures: dict[str, Callable] = field(default_factory=dict)
    columns: tuple[str, str] = ("head", "chosen on the validation images")
    probe: Any = None
    deciding: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""
    answers: Answers | None = None
