"""Segmentation: an image of any size in, a label for each pixel out."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from PIL import Image

from kvision import checks
from kvision.export.task import Answer, Arrays, CardText, Case
from kvision.pixels import MAX_PIXELS, graph, pillow
from kvision.pixels.label_colors import palette
from kvision.tasks import names, probabilities
from kvision.tasks.parts import Bars, Mask, png

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kvision.data import MaskedImages

__all__ = ["Segmentation"]

_PHONE_SIZE = 256  # pixels, where no longest side is given
_SIZES = ((96, 96), (97, 129), (131, 101))  # that are compared; odd ones, on which pyramids round
_EQUAL = 1e-4  # the largest difference of probabilities that counts as none
_SURE = 0.005  # of probability: half a lead that rounding does not turn
_WRONG = 0.001  # share of a mask's sure pixels that may differ


@dataclass(frozen=True)
class Segmentation:
    """A network with a label for each pixel.

    The model takes `image` `(batch, height, width, 3)` in [0, 255] of any size and answers with probabilities
    `(batch, height, width, classes)`.

    The signatures are `predict`, with the outputs `probabilities` and `label` (int32), and `serve_bytes` of
    `image_bytes`, with the outputs `mask_bytes` (PNGs of labels in the sizes of the images) and `valid`.

    Attributes:
        labels: Different names of the classes. If None, classes have numbers.
        longest_side: Larger images are made smaller for the network, inside `serve_bytes` and by `kvision predict`.
            MediaPipe resizes every image to this square, or to 256 x 256 pixels if None.
        colors: An (R, G, B) for each class. Defaults to Pascal VOC's.
    """

    name: ClassVar[str] = "segmentation"
    tflite: ClassVar[tuple[str, ...]] = ("float32",)
    score: ClassVar[str] = "mean_iou"
    draws: ClassVar[bool] = True

    labels: Sequence[str] | None = None
    longest_side: int | None = None
    colors: Sequence[Sequence[int]] | None = None

    @property
    def default_size(self) -> int:
        """Height and width in pixels for programs that ask for none."""
        return self.longest_side or _PHONE_SIZE

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task of an exported model; ValueError for facts that cannot be used."""
        side, colors = facts.get("longest_side"), facts.get("colors")
        if side is not None and not (type(side) is int and 1 <= side <= MAX_PIXELS):
            raise ValueError("longest_side is no count of pixels")
        if colors is not None:
            table = np.array(colors)
            whole = table.dtype.kind == "i" and table.ndim == 2 and table.shape[1] == 3 and len(table) <= 255
            if not whole or table.min() < 0 or table.max() > 255:
                raise ValueError("colors are no list of (R, G, B)")
        return cls(labels, side, colors)

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns the longest side and the colors."""
        colors = palette(model.output_shape[-1]) if self.colors is None else self.colors
        return {"longest_side": self.longest_side, "colors": [list(map(int, color)) for color in colors]}

    def check(self, model: "keras.Model") -> "keras.Model":
        """Returns the model, with two classes in place of one sigmoid.

        Raises:
            kvision.UserError: If inputs or outputs are others, or labels or colors do not fit the classes.
        """
        named = len(model.inputs) == 1 and model.inputs[0].name == "image"
        free = tuple(model.input_shape[1:]) == (None, None, 3) and tuple(model.output_shape[1:3]) == (None, None)
        if not named or not free or len(model.output_shape) != 4:
            raise checks.error(
                "model",
                problem="is no network with a label for each pixel",
                expected="one input `image` (B, None, None, 3) and one output (B, None, None, K)",
                received=f"{[tensor.name for tensor in model.inputs]} {model.input_shape} -> {model.output_shape}",
            )
        model = probabilities.of_two_classes(model)
        classes = model.output_shape[-1]
        if not 2 <= classes <= 255:
            raise checks.error("model", expected="2 to 255 classes, as a mask of 8 bits can hold", received=classes)
        names.check(self.labels, classes)
        if self.colors is not None and len(self.colors) != classes:
            raise checks.error("colors", expected=f"{classes} of them, (R, G, B)", received=self.colors)
        return model

    def functions(self, model: "keras.Model") -> dict[str, Callable]:
        """Returns `predict`."""
        import tensorflow as tf

        images = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")

        @tf.function(input_signature=[images], autograph=False)
        def predict(image):
            return {"probabilities": model(image, training=False)}

        return {"predict": predict}

    def signatures(self, model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns `serving_default`, `predict` and `serve_bytes`.

        Images with a longer side than `longest_side` are made smaller for the network, as in its training, and its
        probabilities are enlarged to the image's size.
        """
        import tensorflow as tf

        images = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")

        @tf.function(input_signature=[images], autograph=False)
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
        """Returns a call of `predict` for each image, and one of `serve_bytes` with all of them.

        Noise of odd and even sizes, and one image larger than `longest_side`, come after the real images.
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
        """Labels of an image through the network's size, and which of them rounding does not turn."""
        import tensorflow as tf

        # Pillow's resized image may differ by a level, so the graph's is used.
        small = tf.cast(graph.fit(tf.constant(image), self.longest_side), tf.float32)
        scores = np.asarray(model(small[None], training=False))[0]
        labels = pillow.largest(scores, image.shape[:2])
        second = scores - 2 * _SURE * (scores == scores.max(axis=2, keepdims=True))  # the winner, handicapped
        return {f"labels_{number}": labels, f"sure_{number}": pillow.largest(second, image.shape[:2]) == labels}

    def differences(self, outputs: Arrays, expected: Arrays, *, kind: str = "saved_model") -> list[str]:
        """Compares probabilities within 1e-4, and the pixels of masks that are no near ties."""
        if "mask_bytes" in outputs:
            return _wrong_masks(outputs, expected)
        found, wanted = outputs.get("probabilities"), expected["probabilities"]
        if found is None or found.shape != wanted.shape:
            return [f"probabilities {None if found is None else found.shape}, expected {wanted.shape}"]
        problems = []
        if "label" in outputs and not np.array_equal(outputs["label"], found.argmax(axis=3)):
            problems.append("label is not the most probable class")
        error = float(np.abs(found - wanted).max())
        if not error <= _EQUAL:
            problems.append(f"probabilities differ by {error:.2e} for an image {wanted.shape[1:3]}")
        return problems

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Returns the image, no side longer than `longest_side`."""
        return pillow.fit(pillow.decode(content), self.longest_side)

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Returns the classes' shares of the pixels, and the mask in the image's own size."""
        image = pillow.decode(content)
        if "mask_bytes" in outputs:
            labels = _labels(outputs["mask_bytes"])
            count = len(self.labels or self.colors or range(int(labels.max()) + 1))
        elif np.ndim(found := outputs.get("probabilities")) == 3:
            labels, count = pillow.largest(found, image.shape[:2]), found.shape[2]
        else:
            received = {name: np.shape(value) for name, value in outputs.items()}
            raise checks.error("MODEL", expected="`probabilities` of every pixel", received=received)
        if labels.max() >= count:
            raise checks.error("MODEL", expected=f"labels of 0 to {count - 1}", received=int(labels.max()))
        counts = np.bincount(labels.ravel(), minlength=count) / labels.size
        shares = dict(zip(names.distinct(self.labels, count), counts.tolist(), strict=True))
        colors = palette(count) if self.colors is None else self.colors
        return Answer({"shares": shares}, [Bars(shares), Mask(image, labels, colors)])

    def measure(self, predicts: Mapping[str, Callable], dataset: "MaskedImages") -> dict[str, dict]:
        """Measures the mean intersection over union, with a 95 % interval (bootstrap over images)."""
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
        """Returns the classes, and how to call the model."""
        classes = model.output_shape[-1]
        listed = ", ".join(names.distinct(self.labels, classes))
        return CardText(
            summary=f"A network with a label for each pixel, of {classes} classes: {listed}.",
            score="Mean intersection over union of the classes on test images, which were used once, with 95 %\n"
            "interval (bootstrap over images):",
            use=f"""\
`image`: float32 (batch, height, width, 3), RGB in [0, 255], of any size. `image_bytes`: encoded JPEG, PNG, GIF, BMP
or WebP (EXIF orientation applied, alpha over white, the first frame of an animation, at most {MAX_PIXELS:,} pixels).
Images with a longer side than `longest_side` in task.json are made smaller for the network, and its probabilities are
enlarged to the image's size.

| signature | input | outputs |
|---|---|---|
| predict, serving_default | image | probabilities (batch, height, width, {classes}), label (batch, height, width) |
| serve_bytes | image_bytes | mask_bytes (batch,): PNGs of labels in the images' sizes; valid (batch,) |

`valid` is false, and the mask empty, where an image could not be decoded.

`model.tflite` beside this file has the signature predict with the output probabilities, built-in operations only, and
TFLite metadata with the class names; task.json is packed into it.""",
        )


def _largest(scores: "tf.Tensor", size: "tf.Tensor") -> "tf.Tensor":
    """`pillow.largest` in a graph: (h, w, K) -> (H, W) uint8, class by class."""
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
    """The labels (height, width) in a PNG."""
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
            problems.append(f"{wrong:.1%} of a mask's sure pixels are others than the model's")
    return problems
