"""Segmentation: a label for each pixel, for images of any size."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from PIL import Image

from kvision import checks
from kvision.crf_parameters import CRFParameters
from kvision.export.task import Answer, Arrays, CardText, Case
from kvision.pixels import MAX_PIXELS, graph, pillow
from kvision.pixels.label_colors import palette
from kvision.tasks import names, probabilities, signatures
from kvision.tasks.parts import Bars, Mask, png

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kvision.data import MaskedImages

__all__ = ["Segmentation"]

_PHONE_SIZE = 256  # pixels; the default size if `longest_side` is None
_SIZES = ((96, 96), (97, 129), (131, 101))  # sizes of the compared images; pyramids round odd sizes
_EQUAL = 1e-4  # largest difference of equal probabilities
_EQUAL_CRF = 1e-2  # after a CRF, which enlarges small differences with every iteration
_SURE = 0.005  # half of the lead that a probability needs, so that rounding does not change the label
_WRONG = 0.001  # share of the sure pixels of a mask, or of the pixels after a CRF, that may differ


@dataclass(frozen=True)
class Segmentation:
    """The task of a network that gives a label to each pixel.

    The model takes `image` `(batch, height, width, 3)` of any size in [0, 255] and returns probabilities
    `(batch, height, width, classes)`.

    | signature | input | outputs |
    |---|---|---|
    | `predict` | `image` | `probabilities`, and `label`, the int32 index of the most probable class |
    | `serve_bytes` | `image_bytes` | `mask_bytes`, PNG files of labels with the sizes of the images, and `valid` |

    Attributes:
        labels: The class names, all different. If None, the default, classes have numbers.
        longest_side: The largest length of the longer side of an image, in pixels. `serve_bytes` and `kvision predict`
            shrink larger images to this length for the network. MediaPipe resizes every image to a square with this
            side. If None, the default, images keep their size, and MediaPipe resizes them to 256 x 256 pixels.
        colors: A color (R, G, B) in [0, 255] for each class. Defaults to the colors of Pascal VOC.
        crf: Parameters of a dense CRF that fit this model, such as those of `kv.segmentation.fit_crf`. `kvision predict
            --crf` uses them. If None, the default, it uses the defaults of `kv.segmentation.CRFParameters`.
        crf_inside: Whether the model contains a CRF already (`kv.layers.WindowedCRF`). Then `kvision predict --crf` is
            refused.

    Example:
        >>> task = kv.tasks.Segmentation(["ground", "tree"], longest_side=512)
        >>> image = keras.Input((None, None, 3), name="image")
        >>> model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same", activation="softmax")(image))
        >>> task.check(model) is model
        True
        >>> version = kv.export.write(model, "saved_models/park", task=task)  # doctest: +SKIP
    """

    name: ClassVar[str] = "segmentation"
    tflite: ClassVar[tuple[str, ...]] = ("float32",)
    score: ClassVar[str] = "mean_iou"
    draws: ClassVar[bool] = True

    labels: Sequence[str] | None = None
    longest_side: int | None = None
    colors: Sequence[Sequence[int]] | None = None
    crf: CRFParameters | None = None
    crf_inside: bool = False

    @property
    def default_size(self) -> int:
        """Default height and width in pixels, for programs that do not choose a size."""
        return self.longest_side or _PHONE_SIZE

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task of an exported model.

        Args:
            facts: The content of `task.json`. Anyone may have written this file.
            labels: The class names, or None.

        Returns:
            The task.

        Raises:
            ValueError: If the longest side, the colors or the parameters of the CRF are invalid.
        """
        side, colors = facts.get("longest_side"), facts.get("colors")
        if side is not None and not (type(side) is int and 1 <= side <= MAX_PIXELS):
            raise ValueError("longest_side is no number of pixels")
        table = np.array([(0, 0, 0)] if colors is None else colors)
        whole = table.dtype.kind == "i" and table.ndim == 2 and table.shape[1] == 3 and len(table) <= 255
        if not whole or table.min() < 0 or table.max() > 255:
            raise ValueError("colors are no list of (R, G, B)")
        crf, inside = facts.get("crf"), facts.get("crf_inside", False)
        if type(inside) is not bool:
            raise ValueError("crf_inside is not true or false")
        return cls(labels, side, colors, None if crf is None else CRFParameters.from_facts(crf), inside)

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns the longest side, the colors and the parameters of the CRF, if there are any, for `task.json`."""
        colors = palette(model.output_shape[-1]) if self.colors is None else self.colors
        crf = {} if self.crf is None else {"crf": self.crf.facts(), "crf_inside": self.crf_inside}
        return {"longest_side": self.longest_side, "colors": [list(map(int, color)) for color in colors], **crf}

    def check(self, model: "keras.Model") -> "keras.Model":
        """Checks a network before it is exported.

        Args:
            model: The model of the user.

        Returns:
            The model, with two classes instead of one sigmoid.

        Raises:
            UserError: If the model is not a segmentation network, or if the labels or colors do not fit its classes.
        """
        named = len(model.inputs) == 1 and model.inputs[0].name == "image"
        free = tuple(model.input_shape[1:]) == (None, None, 3) and tuple(model.output_shape[1:3]) == (None, None)
        if not named or not free or len(model.output_shape) != 4:
            raise checks.UserError(
                "model",
                problem="is no network with a label for each pixel",
                expected="one input `image` (batch, None, None, 3) and one output (batch, None, None, classes)",
                received=f"{[tensor.name for tensor in model.inputs]} {model.input_shape} to {model.output_shape}",
            )
        model = probabilities.of_two_classes(model)
        classes = model.output_shape[-1]
        if not 2 <= classes <= 255:
            raise checks.UserError("model", expected="2 to 255 classes, as masks have 8 bits", received=classes)
        names.check(self.labels, classes)
        if self.colors is not None and len(self.colors) != classes:
            raise checks.UserError("colors", expected=f"{classes} colors (R, G, B)", received=self.colors)
        return model

    def functions(self, model: "keras.Model") -> dict[str, Callable]:
        """Returns `predict`."""
        import tensorflow as tf

        @tf.function(input_signature=[signatures.images(model)], autograph=False)
        def predict(image):
            return {"probabilities": model(image, training=False)}

        return {"predict": predict}

    def signatures(self, model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns `serving_default`, `predict` and `serve_bytes`."""
        import tensorflow as tf

        @tf.function(input_signature=[signatures.images(model)], autograph=False)
        def predict(image):
            found = functions["predict"](image)
            return {**found, "label": tf.argmax(found["probabilities"], 3, tf.int32)}

        def mask_of(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            image, valid = graph.try_decode(data)

            def mask():
                small = graph.fit(image, self.longest_side)
                found = functions["predict"](tf.cast(small, tf.float32)[None])["probabilities"]
                return tf.io.encode_png(_largest(found[0], tf.shape(image)[:2])[..., None])

            return tf.cond(valid, mask, lambda: tf.constant(b"")), valid

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
        def serve_bytes(image_bytes):
            kinds = (tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.bool))
            masks, valid = tf.map_fn(mask_of, image_bytes, fn_output_signature=kinds, parallel_iterations=1)
            return {"mask_bytes": masks, "valid": valid}

        return {"serving_default": predict, "predict": predict, "serve_bytes": serve_bytes}

    def cases(self, model: "keras.Model", images: Sequence[np.ndarray] | None = None) -> list[Case]:
        """Calls the model for each image.

        Args:
            model: The model that `check` returned.
            images: A few images `(height, width, 3)` uint8. Noise images are added: some of odd and even sizes, and one
                that is larger than `longest_side`.

        Returns:
            A case of `predict` for each image, and a case of `serve_bytes` with all images.
        """
        random = np.random.default_rng(0)
        larger = [] if (side := self.longest_side) is None else [(side // 2 + 48, side + 37)]
        noise = [random.integers(0, 256, (*size, 3)).astype("uint8") for size in (*_SIZES, *larger)]
        found, masks = [], {}
        pictures = [*(() if images is None else images), *noise]
        for number, image in enumerate(pictures):
            pixels = image[None].astype("float32")
            answer = np.asarray(model(pixels, training=False))
            probabilities.check(model, answer)
            found.append(Case("predict", {"image": pixels}, {"probabilities": answer}))
            masks |= self._mask(model, image, number)
        encoded = np.array([png(image) for image in pictures], dtype=object)
        return [*found, Case("serve_bytes", {"image_bytes": encoded}, masks)]

    def _mask(self, model: "keras.Model", image: np.ndarray, number: int) -> dict[str, np.ndarray]:
        """Returns the labels of an image, and a mask of the sure pixels, where rounding cannot change the label."""
        import tensorflow as tf

        # Pillow's resizing may differ by one gray level, so the image is resized in the same way as in the exported
        # graph.
        small = tf.cast(graph.fit(tf.constant(image), self.longest_side), tf.float32)
        scores = np.asarray(model(small[None], training=False))[0]
        labels = pillow.largest(scores, image.shape[:2])
        second = scores - 2 * _SURE * (scores == scores.max(axis=2, keepdims=True))  # subtracts the lead
        return {f"labels_{number}": labels, f"sure_{number}": pillow.largest(second, image.shape[:2]) == labels}

    def differences(self, outputs: Arrays, expected: Arrays, *, kind: str = "saved_model") -> list[str]:
        """Compares probabilities, which may differ by 1e-4 (0.01 after a CRF), or masks without the unsure pixels."""
        if "mask_bytes" in outputs:
            return _wrong_masks(outputs, expected)
        found, wanted = outputs.get("probabilities"), expected["probabilities"]
        if found is None or found.shape != wanted.shape:
            return [f"probabilities {None if found is None else found.shape}, expected {wanted.shape}"]
        problems = []
        if "label" in outputs and not np.array_equal(outputs["label"], found.argmax(axis=3)):
            problems.append("label is not the most probable class")
        errors = np.abs(found - wanted).max(axis=3)
        error = float(np.quantile(errors, 1 - _WRONG, method="lower") if self.crf_inside else errors.max())
        if not error <= (_EQUAL_CRF if self.crf_inside else _EQUAL):
            problems.append(f"probabilities differ by {error:.2e} for an image {wanted.shape[1:3]}")
        return problems

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Decodes an image file and makes it smaller if it is larger than `longest_side`."""
        return pillow.fit(pillow.decode(content), self.longest_side)

    def refine(self, outputs: Arrays, content: bytes) -> Arrays:
        """Sharpens the probabilities of an image with a dense CRF.

        Args:
            outputs: The row of the image in each output, with `probabilities`.
            content: The bytes of the image file.

        Returns:
            The new `probabilities`, in the same size.

        Raises:
            UserError: If the model contains a CRF already, or if there are no probabilities.
        """
        if self.crf_inside:
            expected = "a model without a CRF"
            raise checks.UserError("crf", problem="is part of this model already", expected=expected, received=True)
        if np.ndim(found := outputs.get("probabilities")) != 3:
            raise checks.UserError(
                "crf",
                problem="needs probabilities",
                expected="a TFLite model, since a SavedModel answers files with labels only",
                received=list(outputs),
                hint="Use the engine tflite",
            )
        from kvision.segmentation.crf import dense_crf  # imports Keras, which prediction does not need otherwise

        return {"probabilities": dense_crf(found, self.read(content, None), self.crf)}

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Returns the share of pixels of each class, and the mask at the size of the image.

        Args:
            outputs: The row of an image in each output: `probabilities` or `mask_bytes`.
            content: The bytes of the image file.

        Returns:
            The answer, with the values `shares`.

        Raises:
            UserError: If `outputs` has neither of the two, or if a label has no class.
        """
        image = pillow.decode(content)
        if "mask_bytes" in outputs:
            labels = _labels(outputs["mask_bytes"])
            count = len(self.labels or self.colors or range(int(labels.max()) + 1))
        elif np.ndim(found := outputs.get("probabilities")) == 3:
            labels, count = pillow.largest(found, image.shape[:2]), found.shape[2]
        else:
            received = {name: np.shape(value) for name, value in outputs.items()}
            raise checks.UserError("outputs", expected="`probabilities` of every pixel", received=received)
        if labels.max() >= count:
            raise checks.UserError("outputs", expected=f"labels from 0 to {count - 1}", received=int(labels.max()))
        counts = np.bincount(labels.ravel(), minlength=count) / labels.size
        shares = dict(zip(names.distinct(self.labels, count), counts.tolist(), strict=True))
        colors = palette(count) if self.colors is None else self.colors
        return Answer({"shares": shares}, [Bars(shares), Mask(image, labels, colors)])

    def measure(self, predicts: Mapping[str, Callable], dataset: "MaskedImages") -> dict[str, dict]:
        """Measures the mean IoU of several files of one model, with 95 % intervals (bootstrap over images).

        Args:
            predicts: Functions by name. Each one takes images and returns outputs by name. All functions are compared
                with the first one.
            dataset: Test images with masks.

        Returns:
            A dictionary for each function, by name, with `mean_iou`, `interval`, `agreement` (the mean share of equal
            labels) and `images`.
        """
        from kvision.segmentation.evaluate import scores

        masks = [dataset.mask(i) for i in range(len(dataset))]
        answers: dict[str, list[np.ndarray]] = {name: [] for name in predicts}
        for i in range(len(dataset)):
            image = dataset.original(i)
            small = pillow.fit(image, self.longest_side)[None]
            for name, predict in predicts.items():
                answers[name].append(pillow.largest(predict(small)["probabilities"][0], image.shape[:2]))
        first, table = next(iter(answers.values())), {}
        for name, found in answers.items():
            result = scores(masks, found, len(dataset.class_names))
            same = [np.mean(labels == others) for labels, others in zip(found, first, strict=True)]
            table[name] = {
                "mean_iou": result.confusion.mean_iou,
                "interval": list(result.interval),
                "agreement": float(np.mean(same)),
                "images": len(dataset),
            }
        return table

    def card(self, model: "keras.Model") -> CardText:
        """Returns the text of the model card about the classes and how to call the model."""
        classes = model.output_shape[-1]
        listed = ", ".join(names.distinct(self.labels, classes))
        return CardText(
            summary=f"A network with a label for each pixel, of {classes} classes: {listed}."
            + (" It ends with a CRF, which sharpens boundaries by the colors of the image." if self.crf_inside else ""),
            score="Mean intersection over union of the classes on test images, which were used once, with 95 %\n"
            "interval (bootstrap over images):",
            use=f"""\
`image`: float32 (batch, height, width, 3), RGB in [0, 255], of any size. `image_bytes`: {names.IMAGE_BYTES}.
If the longer side of an image is larger than `longest_side` in task.json, the network gets the image made smaller, and
its probabilities are enlarged to the size of the image.

| signature | input | outputs |
|---|---|---|
| predict, serving_default | image | probabilities (batch, height, width, {classes}), label (batch, height, width) |
| serve_bytes | image_bytes | mask_bytes (batch,): PNG files of labels in the sizes of the images; valid (batch,) |

`valid` is false, and the mask is empty, where an image cannot be decoded.

`model.tflite` beside this file has the signature predict with the output probabilities, built-in operations only, and
TFLite metadata with the class names; task.json is packed into it.""",
        )


def _largest(scores: "tf.Tensor", size: "tf.Tensor") -> "tf.Tensor":
    """Returns the class with the largest score at each pixel of a larger image, as `pillow.largest` does.

    Args:
        scores: `(h, w, classes)`.
        size: The height and width of the image.

    Returns:
        `(height, width)` uint8. Scores are enlarged class by class, so that only one class is in memory at a time.
    """
    import tensorflow as tf

    classes = scores.shape[2]

    def one(label, best, labels):
        plane = tf.image.resize(tf.gather(scores, [label], axis=2), size)[..., 0]
        larger = plane > best
        return label + 1, tf.where(larger, plane, best), tf.where(larger, tf.cast(label, tf.uint8), labels)

    start = (tf.constant(0), tf.fill(size, -np.inf), tf.zeros(size, tf.uint8))
    free = tf.TensorShape((None, None))
    shapes = (tf.TensorShape(()), free, free)
    return tf.while_loop(lambda label, *_: label < classes, one, start, shape_invariants=shapes)[2]


def _labels(mask: bytes) -> np.ndarray:
    """Returns the labels `(height, width)` in a PNG file."""
    return np.asarray(Image.open(io.BytesIO(mask)))


def _wrong_masks(outputs: Arrays, expected: Arrays) -> list[str]:
    problems = []
    for number, (mask, valid) in enumerate(zip(outputs["mask_bytes"], outputs["valid"], strict=True)):
        if not valid:
            problems.append("an image was not decoded")
            continue
        labels, sure = _labels(mask), expected[f"sure_{number}"]
        if labels.shape != sure.shape:
            problems.append("a mask has another size than its image")
        elif (wrong := float((labels != expected[f"labels_{number}"])[sure].mean()) if sure.any() else 0.0) > _WRONG:
            problems.append(f"{wrong:.1%} of the sure pixels of a mask differ from those of the model")
    return problems
