"""Classification: an image of one size in, a probability for each class out."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from kvision import checks
from kvision.export import quantize
from kvision.export.task import Answer, Arrays, CardText, Case
from kvision.pixels import MAX_PIXELS, pillow
from kvision.tasks import names, probabilities, signatures
from kvision.tasks.parts import Bars, png

if TYPE_CHECKING:  # `kvision predict` reads this package without importing Keras
    import keras

    from kvision.data import Images

__all__ = ["Classification"]

_EQUAL = 1e-4  # the largest difference that counts as none; of features, relative to the largest
_ROUNDINGS = 3  # Two runtimes may differ by this many times what the rounding of one pixel moves, if that is more.
# int8 is an approximation: only test images tell what it is worth.
_TOLERANCES = {"float16": 0.1, "int8": np.inf}


@dataclass(frozen=True)
class Classification:
    """An image classifier.

    The model takes `image` `(batch, size, size, 3)` in [0, 255] and answers with probabilities `(batch, classes)`. A
    single sigmoid p is exported as the probabilities 1 - p and p of two classes.

    The signatures are `predict` and `embed` of `image`, and `serve_bytes` of `image_bytes`. Their outputs are
    `probabilities`, `label` (int32, an index into the class names), `valid` (of `serve_bytes`) and `feature` (of
    `embed`: what the last layer reads).

    Attributes:
        labels: Different names of the classes. If None, classes have numbers.
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
        """Builds the task of an exported model. It has no facts but its labels."""
        return cls(labels)

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns nothing: the labels are written for every task."""
        return {}

    def check(self, model: "keras.Model") -> "keras.Model":
        """Returns the model, with two classes in place of one sigmoid.

        Raises:
            kvision.UserError: If the inputs or outputs are others, or there is not one name for each class.
        """
        shape = model.input_shape
        named = len(model.inputs) == 1 and model.inputs[0].name == "image"
        square = len(shape) == 4 and None not in shape[1:] and shape[1] == shape[2] and shape[3] == 3
        if not named or not square or len(model.output_shape) != 2:
            raise checks.error(
                "model",
                problem="is no image classifier",
                expected="one input `image` (B, S, S, 3) of known size and one output (B, C)",
                received=f"{[tensor.name for tensor in model.inputs]} {shape} -> {model.output_shape}",
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
        """Returns a call of each signature.

        Some networks multiply rounding errors: an untrained EfficientNetV2L moves its features by 64 % if pixels
        change in their last bit. No two runtimes are nearer than that, so it is measured and expected.
        """
        side = model.input_shape[1]
        noise = np.random.default_rng(0).integers(0, 256, (4, side, side, 3)).astype("uint8")
        chosen = noise if images is None else images
        pixels = np.asarray(chosen, "float32")
        nudged = np.nextafter(pixels, np.float32(256))
        outputs = signatures.with_feature(model)(np.concatenate([pixels, nudged]), training=False)
        (answers, _), (feature, moved) = (np.split(np.asarray(output), 2) for output in outputs)
        probabilities.check(model, answers)
        slack = float(np.abs(moved - feature).max() / max(1.0, np.abs(feature).max()))
        if slack > _EQUAL:
            print(
                f"'{model.name}' multiplies rounding errors: pixels that differ in their last bit move its features by "
                f"{slack:.1%}. It may be untrained. Its export is compared within {_ROUNDINGS * slack:.1%}.",
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
        """Compares probabilities or features: within 1e-4, features relative to the largest.

        float16 may differ by .1 in the median of the images, since one vote of a neighbor or a tree may turn. int8
        has to be finite.
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
        """Returns the image, resized to the model's size."""
        if size is None:
            raise checks.error(
                "MODEL",
                problem="is no image classifier",
                expected="images of one size",
                received="a model for images of any size, without a task.json",
                hint="Export it again",
            )
        return pillow.load(content, size)

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Returns the most probable class and all probabilities."""
        found = outputs.get("probabilities")
        if found is None or np.ndim(found) != 1:
            received = {name: np.shape(value) for name, value in outputs.items()}
            raise checks.error("MODEL", expected="a row of `probabilities` for each image", received=received)
        values = dict(zip(names.distinct(self.labels, len(found)), map(float, found), strict=True))
        best = max(values, key=lambda label: values[label])
        return Answer({"label": best, "probabilities": values}, [Bars(values)])

    def measure(self, predicts: Mapping[str, Callable], dataset: "Images") -> dict[str, dict]:
        """Measures the accuracy, with Wilson's 95 % interval."""
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
        """Returns the classes, and how to call the model."""
        side, classes = model.input_shape[1], model.output_shape[1]
        listed = ", ".join(names.distinct(self.labels, classes))
        note = getattr(model.layers[-1], "note", "")  # of `kvision.layers.Chain`
        return CardText(
            summary=f"An image classifier of {classes} classes: {listed}.",
            score="Accuracy on test images, which were used once, with 95 % interval (Wilson):",
            use=f"""\
`image`: float32 (batch, {side}, {side}, 3), RGB in [0, 255], resized by antialiased bilinear interpolation without
keeping the aspect. `image_bytes`: encoded JPEG, PNG, GIF, BMP or WebP, decoded and resized
inside (EXIF orientation applied, alpha over white, the first frame of an animation, at most {MAX_PIXELS:,} pixels).

| signature | input | outputs |
|---|---|---|
| predict, serving_default | image | probabilities (batch, {classes}), label (batch,) index into labels.txt |
| serve_bytes | image_bytes | probabilities, label, valid (batch,): false where an image could not be decoded |
| embed | image | feature |

`model.tflite` beside this file has the signature predict with the output probabilities, built-in operations only, and
TFLite metadata with the class names.{f"{chr(10)}{chr(10)}{note}" if note else ""}""",
        )
