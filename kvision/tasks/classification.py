"""Classification: a probability for each class, for images of one size."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from kvision import checks
from kvision.export import quantize
from kvision.export.task import Answer, Arrays, CardText, Case
from kvision.pixels import pillow
from kvision.tasks import names, probabilities, signatures
from kvision.tasks.parts import Bars, png

if TYPE_CHECKING:  # `kvision predict` imports this package without importing Keras
    import keras

    from kvision.data import Images

__all__ = ["Classification"]

_EQUAL = 1e-4  # largest difference of equal answers; for features, relative to the largest feature
_ROUNDINGS = 3  # Runtimes may differ by this multiple of the change from rounding the pixels, if this is larger.
# int8 is an approximation. Only test images can show its accuracy.
_TOLERANCES = {"float16": 0.1, "int8": np.inf}


@dataclass(frozen=True)
class Classification:
    """The task of an image classifier.

    The model takes `image` `(batch, size, size, 3)` in [0, 255] and returns probabilities `(batch, classes)`. A model
    that ends in one sigmoid p is exported with two classes. Their probabilities are 1 - p and p.

    | signature | input | outputs |
    |---|---|---|
    | `predict` | `image` | `probabilities`, and `label`, the int32 index of the most probable class |
    | `serve_bytes` | `image_bytes` | the same, and `valid`, false if an image cannot be decoded |
    | `embed` | `image` | `feature`, the input of the last layer |

    Attributes:
        labels: The class names, all different. If None, the default, classes have numbers.

    Example:
        >>> task = kv.tasks.Classification(["cat", "dog"])
        >>> answer = task.decode({"probabilities": np.array([0.25, 0.75])}, b"")
        >>> answer.row
        {'label': 'dog', 'probabilities': {'cat': 0.25, 'dog': 0.75}}
        >>> version = kv.export.write(model, "saved_models/pets", task=task)  # doctest: +SKIP
    """

    name: ClassVar[str] = "classification"
    tflite: ClassVar[tuple[str, ...]] = quantize.ALL
    score: ClassVar[str] = "accuracy"
    draws: ClassVar[bool] = False

    labels: Sequence[str] | None = None

    @property
    def default_size(self) -> None:
        """None: the model takes images of one size."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task of an exported model. The labels are its only facts."""
        return cls(labels)

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns an empty dictionary. The labels are the only facts, and the exporter writes labels for every task."""
        return {}

    def check(self, model: "keras.Model") -> "keras.Model":
        """Checks a classifier before it is exported.

        Args:
            model: The model of the user.

        Returns:
            The model, with two classes instead of one sigmoid.

        Raises:
            UserError: If the model is not an image classifier, or if there is not one name for each class.
        """
        shape = model.input_shape
        named = len(model.inputs) == 1 and model.inputs[0].name == "image"
        square = len(shape) == 4 and None not in shape[1:] and shape[1] == shape[2] and shape[3] == 3
        if not named or not square or len(model.output_shape) != 2:
            raise checks.UserError(
                "model",
                problem="is no image classifier",
                expected="one input `image` (batch, size, size, 3) of a fixed size and one output (batch, classes)",
                received=f"{[tensor.name for tensor in model.inputs]} {shape} to {model.output_shape}",
            )
        model = probabilities.of_two_classes(model)
        names.check(self.labels, model.output_shape[1])
        return model

    def functions(self, model: "keras.Model") -> dict[str, Callable]:
        """Returns `predict` and `embed`."""
        return signatures.functions(model)

    def signatures(self, model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns `serving_default`, `predict`, `serve_bytes` and `embed`."""
        return signatures.served(model, functions)

    def cases(self, model: "keras.Model", images: Sequence[np.ndarray] | None = None) -> list[Case]:
        """Calls the model for each signature.

        Some networks multiply rounding errors. For example, the features of an untrained EfficientNetV2L change by 64 %
        if pixels change in their last bit. Two runtimes cannot agree better than this, so the change is measured and
        allowed.

        Args:
            model: The model that `check` returned.
            images: A few images `(size, size, 3)` uint8. Defaults to noise from a fixed seed.

        Returns:
            One case each for `predict`, `serve_bytes` and `embed`.
        """
        import keras

        side = model.input_shape[1]
        noise = np.random.default_rng(0).integers(0, 256, (4, side, side, 3)).astype("uint8")
        chosen = noise if images is None else images
        pixels = np.asarray(chosen, "float32")
        nudged = np.nextafter(pixels, np.float32(256))
        with_feature = keras.Model(model.input, [model.output, model.layers[-1].input])
        outputs = with_feature(np.concatenate([pixels, nudged]), training=False)
        (answers, _), (feature, moved) = (np.split(np.asarray(output), 2) for output in outputs)
        probabilities.check(model, answers)
        slack = float(np.abs(moved - feature).max() / max(1.0, np.abs(feature).max()))
        if slack > _EQUAL:
            print(
                f"'{model.name}' multiplies rounding errors: its features change by {slack:.1%} if pixels change in "
                f"their last bit. It may be untrained. Its exported files may differ by {_ROUNDINGS * slack:.1%}.",
                file=sys.stderr,
            )
        encoded = np.array([png(image) for image in chosen], dtype=object)
        answer = {"probabilities": answers, "slack": np.array(slack)}
        return [
            Case("predict", {"image": pixels}, answer),
            Case("serve_bytes", {"image_bytes": encoded}, answer),
            Case("embed", {"image": pixels}, {"feature": feature, "slack": np.array(slack)}),
        ]

    def differences(self, outputs: Arrays, expected: Arrays, *, kind: str = "saved_model") -> list[str]:
        """Compares probabilities or features, which may differ by 1e-4 (features: relative to the largest feature).

        For float16, the median over the images may differ by 0.1, because the vote of a neighbor or a tree may change.
        For int8, values only have to be finite.

        Args:
            outputs: The outputs of a signature by name.
            expected: `Case.expected`.
            kind: `"saved_model"`, or the kind of TFLite model.

        Returns:
            One line for each difference.
        """
        problems = []
        if not np.all(outputs.get("valid", True)):
            problems.append("an image was not decoded")
        key = "feature" if "feature" in expected else "probabilities"
        if key not in outputs or outputs[key].shape != expected[key].shape:
            shape = outputs[key].shape if key in outputs else "is missing"
            return [*problems, f"{key} {shape}, expected {expected[key].shape}"]
        found = outputs[key]
        if "label" in outputs and not np.array_equal(outputs["label"], found.argmax(axis=1)):
            problems.append("label is not the most probable class")
        slack = float(expected["slack"])
        tolerance = max(_TOLERANCES.get(kind, _EQUAL), _ROUNDINGS * slack if slack > _EQUAL else 0.0)
        scale = max(1.0, float(np.abs(expected[key]).max())) if key == "feature" else 1.0
        errors = np.abs(found - expected[key]).max(axis=1) / scale
        error = float(np.median(errors) if kind == "float16" else errors.max())
        if not error <= tolerance or not np.isfinite(found).all():
            problems.append(f"{key} differs by {error:.2e}")
        return problems

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Decodes an image file and resizes it to the size of the model.

        Args:
            content: The bytes of an image file.
            size: Height and width in pixels.

        Returns:
            The image `(size, size, 3)` uint8.

        Raises:
            UserError: If the model takes images of any size. Then it is not a classifier, and its file has no
                `task.json`.
        """
        if size is None:
            raise checks.UserError(
                "size",
                problem="stands for images of any size, but an image classifier takes one size",
                expected="a model for images of one size",
                received="a model for images of any size, without a task.json",
                hint="Export the model again",
            )
        return pillow.load(content, size)

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Returns the most probable class and all probabilities.

        Args:
            outputs: The row of an image in each output.
            content: Not used.

        Returns:
            The answer, with the values `label` and `probabilities`.

        Raises:
            UserError: If `outputs` has no `probabilities`, or the number of probabilities is not the number of labels.
        """
        found = outputs.get("probabilities")
        if found is None or np.ndim(found) != 1:
            received = {name: np.shape(value) for name, value in outputs.items()}
            raise checks.UserError("outputs", expected="a row of `probabilities` for each image", received=received)
        values = dict(zip(names.distinct(self.labels, len(found)), map(float, found), strict=True))
        best = max(values, key=lambda label: values[label])
        return Answer({"label": best, "probabilities": values}, [Bars(values)])

    def measure(self, predicts: Mapping[str, Callable], dataset: "Images") -> dict[str, dict]:
        """Measures the accuracy of several files of one model, with 95 % intervals (Wilson).

        Args:
            predicts: Functions by name. Each one takes images and returns outputs by name. All functions are compared
                with the first one.
            dataset: Test images with labels.

        Returns:
            A dictionary for each function, by name, with `accuracy`, `interval`, `agreement` and `images`.
        """
        from kvision import metrics
        from kvision.progress import Bar

        answers: dict[str, list] = {name: [] for name in predicts}
        with Bar(total=len(dataset), desc=f"tflite: {', '.join(predicts)}", unit=" images", leave=False) as bar:
            for images, _ in dataset:
                for name, predict in predicts.items():
                    answers[name].extend(predict(images)["probabilities"].argmax(axis=1))
                bar.update(len(images))
        first = np.array(next(iter(answers.values())))
        table = {}
        for name, found in answers.items():
            correct = int((np.array(found) == dataset.labels).sum())
            table[name] = {
                "accuracy": correct / len(dataset),
                "interval": list(metrics.accuracy_interval(correct, len(dataset))),
                "agreement": float(np.mean(np.array(found) == first)),
                "images": len(dataset),
            }
        return table

    def card(self, model: "keras.Model") -> CardText:
        """Returns the text of the model card about the classes and how to call the model."""
        side, classes = model.input_shape[1], model.output_shape[1]
        listed = ", ".join(names.distinct(self.labels, classes))
        note = getattr(model.layers[-1], "note", "")  # A `kvision.layers.Chain` may have a note.
        return CardText(
            summary=f"An image classifier of {classes} classes: {listed}.",
            score="Accuracy on test images, which were used once, with 95 % interval (Wilson):",
            use=f"""\
`image`: float32 (batch, {side}, {side}, 3), RGB in [0, 255], resized by antialiased bilinear interpolation without
keeping the aspect ratio. `image_bytes`: {names.IMAGE_BYTES}.
They are resized inside the model.

| signature | input | outputs |
|---|---|---|
| predict, serving_default | image | probabilities (batch, {classes}), label (batch,) index into labels.txt |
| serve_bytes | image_bytes | probabilities, label, valid (batch,): false where an image could not be decoded |
| embed | image | feature |

`model.tflite` beside this file has the signature predict with the output probabilities, built-in operations only, and
TFLite metadata with the class names.{f"{chr(10)}{chr(10)}{note}" if note else ""}""",
        )
