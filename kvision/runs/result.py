"""What a recipe's `load` and `run` return: the data of a run, and its result."""

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
        fingerprint: Changes with any image or split.
        notes: What else a reader should know, in sentences.
        validation: Images that choices are made on, if the data has such a part. Otherwise a recipe that chooses takes
            a part of `train`.
        unlabeled: Images to learn from instead of `train`, whose labels then judge alone.
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
    """What a recipe's `run` returns.

    Attributes:
        model: The best model.
        history: Its logs by name, one value for each epoch.
        metrics: For each trained model its score, "interval", "seconds", "chosen" and more.
        best: The name in `metrics` of `model`.
        task: What the model answers. Its score is the metric that the table shows.
        pictures: By file name, a function that draws on matplotlib axes.
        columns: Headings of the printed table's first and last column, names and "chosen".
        probe: Images to compare the export on. If None, some test images.
        deciding: Headings and metrics of further columns, by which the best model was chosen.
        rule: How it was chosen, in a sentence.
        answers: What a classifier says of the test images.
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
