"""Detection: boxes around the objects in an image, each with a class and a score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from kvision import checks, class_names
from kvision.export.task import Answer, Arrays, CardText, Case
from kvision.objects import Objects
from kvision.pixels import MAX_PIXELS, graph, pillow
from kvision.tasks import detection_signatures, detections, names
from kvision.tasks.parts import Boxes, png

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kvision.data import BoxedImages

__all__ = ["Detection"]

_PHONE_SIZE = 320  # pixels; the default size if `longest_side` is None, as in detectors for phones
_SIZES = ((96, 96), (97, 129), (131, 101))  # sizes of the compared images; pyramids round odd sizes


@dataclass(frozen=True)
class Detection:
    """The task of a network that finds objects.

    The model takes `image` `(batch, height, width, 3)` in [0, 255], of any size or of one square size. It returns rows
    `(batch, limit, 6)`, highest score first. A row is ymin, xmin, ymax, xmax in pixels of `image`, the score in [0, 1]
    and the class index. Rotated boxes have rows `(batch, limit, 7)` with y, x, height, width and angle. In unused rows,
    box and score are 0 and the class index is -1.

    | signature | input | outputs |
    |---|---|---|
    | `predict` | `image` | `boxes`, `scores` and `labels` (int32), in pixels of `image` |
    | `serve_bytes` | `image_bytes` | the same in pixels of the original images, and `valid` |

    The TFLite model takes one image and has the output `detections`, the rows in pixels of `image`.

    Attributes:
        labels: The class names, all different. If None, the default, classes have numbers.
        longest_side: The largest length of the longer side of an image, in pixels. `serve_bytes` and `kvision predict`
            shrink larger images to this length for the network. If None, the default, images keep their size.
        threshold: The smallest score in [0, 1] of an object in an answer. The signatures return all rows.
        image_size: Height and width in pixels of a model that takes images of one size. Images are resized to this
            square, and the aspect ratio is not kept. If None, the default, the model takes images of any size.

    Example:
        >>> task = kv.tasks.Detection(["cat", "dog"], longest_side=640)
        >>> row = {"boxes": np.array([[2.0, 3.0, 20.0, 30.0]]), "scores": np.array([0.75]), "labels": np.array([1])}
        >>> photograph = kv.tasks.parts.png(np.zeros((40, 50, 3), "uint8"))
        >>> task.decode(row, photograph).row
        {'objects': [{'label': 'dog', 'score': 0.75, 'box': [2.0, 3.0, 20.0, 30.0]}]}
    """

    name: ClassVar[str] = "detection"
    tflite: ClassVar[tuple[str, ...]] = ("float32",)
    score: ClassVar[str] = "map_50"
    draws: ClassVar[bool] = True

    labels: Sequence[str] | None = None
    longest_side: int | None = None
    threshold: float = 0.5
    image_size: int | None = None

    @property
    def default_size(self) -> int | None:
        """Default height and width in pixels, or None if the model takes images of one size."""
        return None if self.image_size else self.longest_side or _PHONE_SIZE

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task of an exported model.

        Args:
            facts: The content of `task.json`. Anyone may have written this file.
            labels: The class names, or None.

        Returns:
            The task.

        Raises:
            ValueError: If a size or the threshold is invalid.
        """
        sizes = {name: facts.get(name) for name in ("longest_side", "image_size")}
        for name, side in sizes.items():
            if side is not None and not (type(side) is int and 1 <= side <= MAX_PIXELS):
                raise ValueError(f"{name} is no number of pixels")
        threshold = facts.get("threshold")
        if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
            raise ValueError("threshold is no score")
        return cls(labels, threshold=threshold, **sizes)

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns the sizes, the threshold and, for programs that read `task.json`, whether boxes are rotated."""
        rotated = model.output_shape[-1] == 7
        sizes = {"longest_side": self.longest_side, "image_size": self.image_size}
        return {**sizes, "threshold": self.threshold, "rotated": rotated}

    def check(self, model: "keras.Model") -> "keras.Model":
        """Checks a detector before it is exported. `cases` checks the values of its rows.

        Args:
            model: The model of the user.

        Returns:
            The model.

        Raises:
            UserError: If the model is not a detector, or if a field of this task is invalid or does not fit the model.
        """
        shape, rows = model.input_shape, model.output_shape
        named = len(model.inputs) == 1 and model.inputs[0].name == "image"
        sized = len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3
        if not named or not sized or len(rows) != 3 or not rows[1] or rows[2] not in (6, 7):
            raise checks.UserError(
                "model",
                problem="is no detector",
                expected="one input `image` (batch, None, None, 3) or (batch, size, size, 3), and one output (batch, "
                "limit, 6), or (batch, limit, 7) for rotated boxes",
                received=f"{[tensor.name for tensor in model.inputs]} {shape} to {rows}",
            )
        if self.image_size != shape[1]:
            expected = f"{shape[1]}, as the model takes it"
            raise checks.UserError("image_size", expected=expected, received=self.image_size)
        if self.image_size and self.longest_side:
            expected = "None for a model that takes images of one size"
            raise checks.UserError("longest_side", expected=expected, received=self.longest_side)
        checks.positive({"longest_side": self.longest_side})
        if not 0 <= self.threshold <= 1:
            raise checks.UserError("threshold", expected="a score in [0, 1]", received=self.threshold)
        if self.labels is not None:
            class_names.check("labels", self.labels)
        return model

    def functions(self, model: "keras.Model") -> dict[str, Callable]:
        """Returns `predict` for one image."""
        return detection_signatures.functions(model)

    def signatures(self, model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns `serving_default`, `predict` and `serve_bytes`."""
        return detection_signatures.served(model, functions, self._resized)

    def _resized(self, image: "tf.Tensor") -> "tf.Tensor":
        """Returns the image that the network gets, as `read` does."""
        return graph.resize(image, self.image_size) if self.image_size else graph.fit(image, self.longest_side)

    def cases(self, model: "keras.Model", images: Sequence[np.ndarray] | None = None) -> list[Case]:
        """Calls the model for each image.

        Args:
            model: The model that `check` returned.
            images: A few images `(height, width, 3)` uint8. Noise images are added: some of odd and even sizes, and one
                that is larger than `longest_side`.

        Returns:
            A case of `predict` for each image, and a case of `serve_bytes` with all images.

        Raises:
            UserError: If the rows are not as `Detection` describes them.
        """
        import tensorflow as tf

        random = np.random.default_rng(0)
        larger = [] if (side := self.longest_side) is None else [(side // 2 + 48, side + 37)]
        noise = [random.integers(0, 256, (*size, 3)).astype("uint8") for size in (*_SIZES, *larger)]
        pictures = [*(() if images is None else images), *noise]
        found, served = [], []
        for image in pictures:
            # Pillow's resizing may differ by one gray level, so the image is resized as in the exported graph.
            pixels = np.asarray(tf.cast(self._resized(tf.constant(image)), tf.float32))[None]
            rows = np.asarray(model(pixels, training=False))
            detections.check(model, rows, self.labels)
            found.append(Case("predict", {"image": pixels}, {"detections": rows}))
            down, across = np.divide(image.shape[:2], pixels.shape[1:3])
            served.append(rows[0] * [*detections.factors(rows.shape[2] - 2, down, across), 1, 1])
        encoded = np.array([png(image) for image in pictures], dtype=object)
        return [*found, Case("serve_bytes", {"image_bytes": encoded}, {"detections": np.stack(served)})]

    def differences(self, outputs: Arrays, expected: Arrays, *, kind: str = "saved_model") -> list[str]:
        """Compares objects by label, overlap and score; see `kvision.tasks.detections.missing`.

        Args:
            outputs: The outputs of a signature by name.
            expected: `Case.expected`.
            kind: Not used.

        Returns:
            One line for each difference.
        """
        if not np.all(outputs.get("valid", True)):
            return ["an image was not decoded"]
        wanted, problems = expected["detections"], []
        shape = np.shape(outputs.get("detections", outputs.get("scores")))[:2]
        if shape != wanted.shape[:2]:
            return [f"detections {shape}, expected {wanted.shape[:2]}"]
        for number, rows in enumerate(wanted):
            theirs = detections.read({"detections": rows})
            try:
                ours = detections.read({name: value[number] for name, value in outputs.items()})
            except checks.UserError as problem:
                return [str(problem)]
            lost = detections.missing(theirs, ours, len(rows)), detections.missing(ours, theirs, len(rows))
            if any(lost):
                problems.append(f"{lost[0]} objects of the model are missing, and {lost[1]} others were found")
        return problems

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Decodes an image file and resizes it in the same way as `serve_bytes`.

        Args:
            content: The bytes of an image file.
            size: Height and width in pixels that the model takes, or None if it takes any size.

        Returns:
            The image `(height, width, 3)` uint8.

        Raises:
            UserError: If `size` is not `image_size`.
        """
        if size != self.image_size:
            raise checks.UserError("size", expected=f"{self.image_size}, as in its task.json", received=size)
        return self._shrunk(pillow.decode(content))

    def _shrunk(self, image: np.ndarray) -> np.ndarray:
        return pillow.resize(image, self.image_size) if self.image_size else pillow.fit(image, self.longest_side)

    def _objects(self, outputs: Arrays, size: tuple[int, int]) -> Objects:
        """Returns all objects in pixels of an image of `size`."""
        small = (self.image_size,) * 2 if self.image_size else pillow.fitted(size, self.longest_side)
        return detections.read(outputs, (size[0] / small[0], size[1] / small[1]))

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Returns the objects with scores of at least `threshold`, in pixels of the original image.

        Args:
            outputs: The row of an image in each output: `detections` of a TFLite model, or `boxes`, `scores` and
                `labels` of `serve_bytes`.
            content: The bytes of the image file.

        Returns:
            The answer, with the values `objects`, highest score first.

        Raises:
            UserError: If `outputs` do not belong to a detector, or if a label has no class.
        """
        image = pillow.decode(content)
        found = detections.above(self._objects(outputs, image.shape[:2]), self.threshold)
        labels, scores = found.labels.tolist(), np.asarray(found.scores).tolist()
        if self.labels is not None and max(labels, default=0) >= len(self.labels):
            expected = f"labels from 0 to {len(self.labels) - 1}"
            raise checks.UserError("outputs", expected=expected, received=max(labels))
        known = None if self.labels is None else names.distinct(self.labels, len(self.labels))
        named = [str(label) if known is None else known[label] for label in labels]
        rows = [
            {"label": name, "score": score, "box": box}
            for name, score, box in zip(named, scores, found.boxes.tolist(), strict=True)
        ]
        return Answer({"objects": rows}, [Boxes(image, found.boxes, labels, named, scores)])

    def merge(self, outputs: Sequence[Arrays], places: np.ndarray, size: tuple[int, int]) -> Arrays:
        """Merges the objects with scores of at least `threshold` in tiles; see `kv.detection.merge_tiles`.

        Args:
            outputs: The outputs of each tile, as `decode` takes them.
            places: `(tiles, 4)` int: ymin, xmin, ymax and xmax of each tile in the photograph.
            size: Height and width of the photograph in pixels.

        Returns:
            `boxes`, `scores` and `labels` in pixels of the photograph.
        """
        from kvision.detection import merge_tiles  # imports Keras, which `kvision predict` needs only for tiles

        sizes = [(bottom - top, right - left) for top, left, bottom, right in places.tolist()]
        found = [
            detections.above(self._objects(rows, one), self.threshold) for rows, one in zip(outputs, sizes, strict=True)
        ]
        merged = merge_tiles(found, places, size)
        return {"boxes": merged.boxes, "scores": np.asarray(merged.scores), "labels": merged.labels}

    def measure(self, predicts: Mapping[str, Callable], dataset: "BoxedImages") -> dict[str, dict]:
        """Measures the mean average precision of several files of one model, with 95 % intervals.

        Args:
            predicts: Functions by name. Each one takes images and returns outputs by name. All functions are compared
                with the first one.
            dataset: Test images with boxes.

        Returns:
            A dictionary for each function, by name, with `map_50` (at an intersection over union of 0.5, as COCO
            computes it), `interval` (bootstrap over images), `agreement` (the mean share of objects with scores of at
            least `threshold` that both files found) and `images`.
        """
        from kvision.metrics import average_precision
        from kvision.progress import Bar

        answers: dict[str, list[Objects]] = {name: [] for name in predicts}
        for i in Bar(range(len(dataset)), f"tflite: {', '.join(predicts)}", unit=" images", leave=False):
            image = dataset.original(i)
            small = self._shrunk(image)[None]
            for name, predict in predicts.items():
                outputs = {key: np.asarray(value)[0] for key, value in predict(small).items()}
                answers[name].append(self._objects(outputs, image.shape[:2]))
        first, table = next(iter(answers.values())), {}
        for name, found in answers.items():
            result = average_precision(found, dataset.objects, len(dataset.class_names), ious=(0.5,))
            draws = result.resampled()[:, 0]
            draws = draws[np.isfinite(draws)]  # a draw may have no object
            table[name] = {
                "map_50": result.mean,
                "interval": np.percentile(draws, (2.5, 97.5)).tolist() if len(draws) else [float("nan")] * 2,
                "agreement": float(np.mean([self._shared(*pair) for pair in zip(found, first, strict=True)])),
                "images": len(dataset),
            }
        return table

    def _shared(self, a: Objects, b: Objects) -> float:
        """Returns the share of objects that are in both."""
        a, b = detections.above(a, self.threshold), detections.above(b, self.threshold)
        same = detections.alike(a, b)
        return min(same.any(0).sum(), same.any(1).sum()) / max(*same.shape) if max(same.shape) else 1.0

    def card(self, model: "keras.Model") -> CardText:
        """Returns the text of the model card about the classes and how to call the model."""
        limit, columns = model.output_shape[1], model.output_shape[2] - 2
        box = "ymin, xmin, ymax, xmax" if columns == 4 else "y, x, height, width, angle (radians)"
        side = self.image_size
        classes = "classes with numbers" if self.labels is None else f"{len(self.labels)} classes: "
        shape = f"(batch, {side}, {side}, 3)" if side else "(batch, height, width, 3)"
        resized = (
            f"Images are resized to {side} x {side} pixels without keeping the aspect ratio."
            if side
            else "If the longer side of an image is larger than `longest_side` in task.json, the network gets the\n"
            "image made smaller."
        )
        return CardText(
            summary=f"A detector of objects, of {classes}{', '.join(self.labels or ())}.",
            score="Mean average precision at an intersection over union of 0.5 on test images, which were used once, "
            "with 95 %\ninterval (bootstrap over images):",
            use=f"""\
`image`: float32 {shape}, RGB in [0, 255]. `image_bytes`: {names.IMAGE_BYTES}.
{resized}

| signature | input | outputs |
|---|---|---|
| predict, serving_default | image | boxes (batch, {limit}, {columns}), scores and labels (batch, {limit}) |
| serve_bytes | image_bytes | the same, in pixels of the original images; valid (batch,) |

A box is {box} in pixels. Rows have falling scores. Unused rows have score 0 and label -1. `valid` is
false, and all rows are unused, where an image cannot be decoded.

`model.tflite` beside this file has the signature predict for one image, with the output detections (1, {limit},
{columns + 2}): box in pixels of `image`, score, label. It has built-in operations only, and TFLite metadata with the
class names; task.json is packed into it.""",
        )
