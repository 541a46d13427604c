"""The contract of a task: the methods that kvision calls for one kind of answer.

A task defines the models that it takes, how they are exported and checked, and how an answer is read, measured and
described. The exporter, `kvision predict`, `kvision serve` and the reports call only the methods of `Task`. Their code
contains no task by name.

To add a task, write a class in `kvision/tasks/<name>.py` with all attributes and methods of `Task`. Then add the class
to `kvision.tasks.TASKS`. The docstring of `Task` holds a complete example. The methods are called in this order:

1. `kv.export.write` calls `check`, `facts`, `functions` and `signatures` and writes the files. It calls `cases` to get
   answers of the Keras model, runs the files in a fresh process, and calls `differences` for each answer.
2. A recipe calls `measure` for the table of TFLite models, and `card` for the model card.
3. `kvision predict` reads `task.json` of a version and calls `from_facts`. A TFLite model gets images from `read`. A
   SavedModel decodes files itself. `decode` converts the outputs for one image to an `Answer`.

Some tasks have more methods, see `kvision.export.more_methods`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    import keras

__all__ = ["Answer", "Arrays", "CardText", "Case", "Part", "Task"]

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A call of one signature with the answer of the Keras model.

    Attributes:
        signature: The name of the signature that is called.
        inputs: The inputs by name: arrays of numbers, or encoded files as an array of `bytes` with dtype object.
        expected: Arrays that `Task.differences` compares with the outputs of an exported file.
    """

    signature: str
    inputs: Arrays
    expected: Arrays


class Part(Protocol):
    """A visible part of an answer. `kvision.tasks.parts` has bars, boxes, a mask and a picture."""

    def text(self, top: int) -> str:
        """Returns a short text for a table, or an empty text.

        Args:
            top: The largest number of classes to list.
        """
        ...

    def pictures(self) -> dict[str, bytes]:
        """Returns PNG files by the suffix of their file name, such as `"overlay"`."""
        ...


@dataclass(frozen=True)
class Answer:
    """The answer of a model for one image.

    Attributes:
        row: Values for a table or for JSON: texts, numbers, and lists and dictionaries of texts and numbers.
        parts: Visible parts, in the order in which they are shown.
    """

    row: Mapping[str, Any]
    parts: Sequence[Part] = field(default=())


@dataclass(frozen=True)
class CardText:
    """The part of the model card that a task writes, in Markdown.

    Attributes:
        summary: A description of the model, in one sentence.
        score: A description of the numbers in the first table of the card. It is a phrase that ends with a colon.
        use: The inputs, signatures and outputs.
    """

    summary: str
    score: str
    use: str


class Task(Protocol):
    """The contract of a task, such as classification.

    An instance holds the facts of one model, such as its class names. A task needs no base class.

    Attributes:
        name: The name of the task in `kvision.tasks.TASKS`, in `task.json` and in `.tflite` files.
        tflite: The kinds of TFLite models that can be written for the task, from `kvision.export.quantize.ALL`.
        score: The name of the main metric, which reports show first.
        draws: Whether an answer has pictures. If true, `kvision predict` needs a folder for the pictures.
        labels: The class names, or None. They are written to `labels.txt` and into `.tflite` files.
        default_size: Default height and width in pixels for models that take images of any size. Programs that do not
            choose a size use it, such as programs on phones. None for models that take images of one size.

    Example:
        A complete task: the brightness of an image, one number.

        >>> import tensorflow as tf
        >>> from kvision.pixels import graph, pillow
        >>> from kvision.tasks.parts import Bars, png
        >>> class Brightness:
        ...     name, score, draws = "brightness", "mean_error", False
        ...     tflite = ("float32", "float16")
        ...     labels = default_size = None
        ...
        ...     @classmethod
        ...     def from_facts(cls, facts, labels):
        ...         return cls()
        ...
        ...     def facts(self, model):
        ...         return {}
        ...
        ...     def check(self, model):
        ...         if model.output_shape != (None, 1):
        ...             raise kv.UserError("model", expected="an output (batch, 1)", received=model.output_shape)
        ...         return model
        ...
        ...     def functions(self, model):
        ...         spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")
        ...         return {"predict": tf.function(lambda image: {"brightness": model(image, training=False)}, [spec])}
        ...
        ...     def signatures(self, model, functions):
        ...         def serve_bytes(image_bytes):
        ...             image, valid = graph.try_load(image_bytes, model.input_shape[1])
        ...             return {**functions["predict"](tf.cast(image, tf.float32)), "valid": valid}
        ...
        ...         spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
        ...         predict = functions["predict"]
        ...         served = tf.function(serve_bytes, [spec])
        ...         return {"serving_default": predict, "predict": predict, "serve_bytes": served}
        ...
        ...     def cases(self, model, images):
        ...         if images is None:
        ...             images = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:]), "uint8")
        ...         pixels = np.asarray(images, "float32")
        ...         files = np.array([png(image) for image in images], dtype=object)
        ...         answer = {"brightness": model.predict_on_batch(pixels)}
        ...         inputs = {"predict": {"image": pixels}, "serve_bytes": {"image_bytes": files}}
        ...         return [kv.export.Case(signature, given, answer) for signature, given in inputs.items()]
        ...
        ...     def differences(self, outputs, expected, *, kind):
        ...         error = np.abs(outputs["brightness"] - expected["brightness"]).max()
        ...         allowed = 0.5 if kind == "float16" else 1e-3
        ...         return [] if error <= allowed else [f"brightness differs by {error:.1e}"]
        ...
        ...     def read(self, content, size):
        ...         return pillow.load(content, size)
        ...
        ...     def decode(self, outputs, content):
        ...         value = {"brightness": float(outputs["brightness"][0])}
        ...         return kv.export.Answer(value, [Bars(value)])
        ...
        ...     def measure(self, predicts, dataset):
        ...         table, labels = {}, np.concatenate([labels for _, labels in dataset])
        ...         for name, predict in predicts.items():
        ...             found = np.concatenate([predict(images)["brightness"][:, 0] for images, _ in dataset])
        ...             first = first if table else found
        ...             errors = np.abs(found - labels)
        ...             mean, half = errors.mean(), 1.96 * errors.std() / len(errors) ** 0.5
        ...             agreement = float(np.isclose(found, first, atol=1).mean())
        ...             table[name] = {"mean_error": float(mean), "interval": [float(mean - half), float(mean + half)],
        ...                            "agreement": agreement, "images": len(errors)}
        ...         return table
        ...
        ...     def card(self, model):
        ...         use = "`image`: float32 (batch, size, size, 3), RGB in [0, 255]. Output: brightness (batch, 1)."
        ...         return kv.export.CardText("The brightness of an image.", "Mean error on test images:", use)
        >>> x = keras.layers.GlobalAveragePooling2D()(image := keras.Input((8, 8, 3), name="image"))
        >>> model, task = keras.Model(image, keras.layers.Dense(1)(x)), Brightness()
        >>> case = task.cases(task.check(model), None)[0]
        >>> outputs = task.functions(model)["predict"](**case.inputs)
        >>> task.differences(outputs, case.expected, kind="saved_model")
        []
    """

    name: ClassVar[str]
    tflite: ClassVar[tuple[str, ...]]
    score: ClassVar[str]
    draws: ClassVar[bool]

    @property
    def labels(self) -> Sequence[str] | None:
        """The class names, or None."""
        ...

    @property
    def default_size(self) -> int | None:
        """Default height and width in pixels, for programs that do not choose a size, or None."""
        ...

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task of an exported model from its files.

        Args:
            facts: The content of `task.json`. Do not trust this content: anyone may have written the file.
            labels: The lines of `labels.txt`, or None if there is no such file.

        Returns:
            The task.

        Raises:
            ValueError: If a fact is invalid.
        """
        ...

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns all facts that `from_facts` needs in addition to the labels, as JSON values.

        Args:
            model: The model that `check` returned.
        """
        ...

    def check(self, model: "keras.Model") -> "keras.Model":
        """Checks a model before it is exported.

        Args:
            model: The model of the user.

        Returns:
            The model that is exported: `model` itself, or a new model with the same weights and different outputs.

        Raises:
            UserError: If the task cannot export the model, or its facts do not fit the model.
        """
        ...

    def functions(self, model: "keras.Model") -> dict[str, Callable]:
        """Returns the `tf.function` objects that are converted to TFLite models.

        Each function takes `image` `(batch, height, width, 3)` float32, and further inputs if the task is `Fillable`.
        It returns a dictionary of one output. Call the model with `training=False`.

        Args:
            model: The model that `check` returned.

        Returns:
            `predict`, which returns the answer. If `tflite` contains `"features"`, also `embed`, which returns feature
            vectors.
        """
        ...

    def signatures(self, model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns the signatures of the SavedModel. They are `tf.function` objects that return dictionaries of outputs.

        `predict` takes `image` `(batch, height, width, 3)` float32. `serve_bytes` takes `image_bytes` `(batch,)`, which
        are encoded files. Each output of `serve_bytes` has one row per file. Its output `valid` `(batch,)` is false for
        files that cannot be decoded. The names of outputs of type bytes end in `_bytes`, because TF Serving requires
        this for JSON.

        Args:
            model: The model that `check` returned.
            functions: The functions that `functions` returned. Call them in the signatures, so that the SavedModel
                holds the network once.

        Returns:
            `serving_default`, `predict` (the same function as `serving_default`), `serve_bytes`, and further
            signatures.
        """
        ...

    def cases(self, model: "keras.Model", images: Sequence[np.ndarray] | None) -> list[Case]:
        """Calls the Keras model, so that the exported files can be compared with it.

        Args:
            model: The model that `check` returned.
            images: A few real images `(height, width, 3)` uint8. If None, noise from a fixed seed is used.

        Returns:
            At least one case for each signature except `serving_default`. It is compared with the cases of `predict`.

        Raises:
            UserError: If the outputs of the model have values that the task does not allow.
        """
        ...

    def differences(self, outputs: Arrays, expected: Arrays, *, kind: str) -> list[str]:
        """Compares the outputs of an exported file with the answer of the Keras model.

        Args:
            outputs: The outputs of a signature by name. A TFLite model has one output, which is the output of a
                function.
            expected: `Case.expected`.
            kind: `"saved_model"`, or the kind of TFLite model. For smaller kinds the difference may be larger.

        Returns:
            One line for each difference. If there is a difference, nothing is exported.
        """
        ...

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Decodes an image file for a TFLite model, in the same way as `serve_bytes`.

        Args:
            content: The bytes of an image file.
            size: Height and width in pixels that the model takes, or None if it takes any size.

        Returns:
            The image `(height, width, 3)` uint8 that the model gets.

        Raises:
            BadImage: If the file cannot be decoded.
        """
        ...

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Converts the outputs for one image to an answer.

        Args:
            outputs: The row of the image in each output. The outputs come from `predict` of a TFLite model or from
                `serve_bytes`.
            content: The bytes of the image file, for answers that show the image.

        Returns:
            The answer.

        Raises:
            UserError: If the outputs do not belong to this task.
            BadImage: If the answer needs the image, and the file cannot be decoded.
        """
        ...

    def measure(self, predicts: Mapping[str, Callable], dataset: Any) -> dict[str, dict]:
        """Measures several files of one model on the same test images.

        Args:
            predicts: Functions by name, such as a `Runner`. Each one takes images `(batch, height, width, 3)` and
                returns outputs by name. All functions are compared with the first one.
            dataset: The test images, of a type that the task expects.

        Returns:
            A dictionary for each function, by name. It holds the score under the name `score`, `interval` (a pair of
            numbers), `agreement` (the share of answers that equal the answers of the first function) and `images` (the
            number of images).
        """
        ...

    def card(self, model: "keras.Model") -> CardText:
        """Returns the part of the model card that this task writes.

        Args:
            model: The model that is exported.
        """
        ...
