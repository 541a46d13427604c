"""The contract of a task: what a model answers, as exporting, checking, predicting and serving know it.

`kvision.tasks` holds the tasks. This package names none of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    import keras

__all__ = ["Answer", "CardText", "Case", "Part", "Task"]

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A call that the Keras model has answered, so that the exported files can be compared with it.

    Attributes:
        signature: The signature that is called.
        inputs: Its inputs by name: numbers, or encoded files as an array of `bytes` with dtype object.
        expected: What `Task.differences` needs to judge the outputs.
    """

    signature: str
    inputs: Arrays
    expected: Arrays


class Part(Protocol):
    """A part of an answer that people look at: bars, a mask, a picture."""

    def text(self, top: int) -> str:
        """Returns a few words for a table; `top` limits how many classes are listed."""
        ...

    def pictures(self) -> dict[str, bytes]:
        """Returns PNG files by the suffix of their name, such as "overlay"."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a model says of one image.

    Attributes:
        row: Values for a table or JSON.
        parts: What people look at.
    """

    row: Mapping[str, Any]
    parts: Sequence[Part] = field(default=())


@dataclass(frozen=True)
class CardText:
    """A task's part of the model card, in Markdown.

    Attributes:
        summary: What the model is, in a sentence.
        score: What the numbers of the card's first table are, in a phrase.
        use: Inputs, signatures and outputs.
    """

    summary: str
    score: str
    use: str


class Task(Protocol):
    """What a model answers. An instance knows the facts that belong to one model, such as its class names.

    Attributes:
        name: The task's name in `assets.extra/task.json`, in the `.tflite` file and in `kvision.tasks.TASKS`.
        tflite: The kinds of TFLite models that it can be written as.
        score: The metric that reports show first.
        draws: Whether its answers have pictures.
        labels: The class names, or None.
        default_size: Height and width in pixels for programs that ask a model for any size for none, as phones do.
            None if the model takes images of one size.
    """

    name: ClassVar[str]
    tflite: ClassVar[tuple[str, ...]]
    score: ClassVar[str]
    draws: ClassVar[bool]

    @property
    def labels(self) -> Sequence[str] | None: ...

    @property
    def default_size(self) -> int | None: ...

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task of an exported model from its files.

        Args:
            facts: The content of `task.json`. Anyone may have written it.
            labels: The lines of `labels.txt`, or None.

        Raises:
            ValueError: If a fact cannot be used.
        """
        ...

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns what `from_facts` needs beside the labels, as JSON."""
        ...

    def check(self, model: "keras.Model") -> "keras.Model":
        """Returns the model as it is exported.

        Raises:
            kvision.UserError: If the model or the facts cannot be exported.
        """
        ...

    def functions(self, model: "keras.Model") -> dict[str, Callable]:
        """Returns `tf.function`s of `image` with one output each, from which TFLite models are converted.

        `predict` answers. `embed`, where a task has one, gives features.
        """
        ...

    def signatures(self, model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns the signatures of a SavedModel over `functions`.

        `predict` comes first and is `serving_default` too. `serve_bytes` takes `image_bytes` `(batch,)`; its outputs
        have a row for each image, and `valid` `(batch,)` is false where an image could not be decoded.
        """
        ...

    def cases(self, model: "keras.Model", images: Sequence[np.ndarray] | None) -> list[Case]:
        """Returns calls with the answers of the Keras model, at least one for each signature.

        Args:
            model: What `check` returned.
            images: A few real images, uint8. If None, noise.

        Raises:
            kvision.UserError: If the model answers with values that the task does not allow.
        """
        ...

    def differences(self, outputs: Arrays, expected: Arrays, *, kind: str) -> list[str]:
        """Returns a line for each difference between an exported file and the Keras model.

        Args:
            outputs: The outputs of a signature by name.
            expected: `Case.expected`.
            kind: "saved_model", or a kind of TFLite model: smaller ones may differ more.
        """
        ...

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Returns the image `(height, width, 3)` uint8 that the network is given for an encoded file.

        Args:
            content: The bytes of an image file.
            size: Height and width in pixels that the model takes, or None if it takes any.

        Raises:
            kvision.pixels.BadImage: If the file cannot be decoded.
        """
        ...

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Returns the answer in an image's row of the outputs of `predict` (of TFLite) or `serve_bytes`.

        Args:
            outputs: The image's row of each output.
            content: The bytes of the image file.

        Raises:
            kvision.UserError: If the outputs are not this task's.
            kvision.pixels.BadImage: If the answer needs the image, and the file cannot be decoded.
        """
        ...

    def measure(self, predicts: Mapping[str, Callable], dataset: Any) -> dict[str, dict]:
        """Measures several files of one model on the same images.

        Args:
            predicts: By name, a function from images to outputs. The first is what the others are compared with.
            dataset: Test images.

        Returns:
            For each name the `score`, its `interval`, `agreement` (share of the first one's answers) and `images`.
        """
        ...

    def card(self, model: "keras.Model") -> CardText:
        """Returns the task's part of the model card."""
        ...
