"""Colorization: the colors of a gray or sepia picture, for pictures of any size."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from PIL import Image

from kvision import checks, luma_chroma, sepia
from kvision.colorfulness import colorfulness
from kvision.export.task import Answer, Arrays, CardText, Case
from kvision.pixels import MAX_PIXELS, graph, pillow
from kvision.pixels.rejoined import rejoined
from kvision.pixels.tones import tone
from kvision.tasks import colorization_signatures, names
from kvision.tasks.parts import Comparison, Picture, png

if TYPE_CHECKING:
    import keras

    from kvision.data import Pictures

__all__ = ["Colorization"]

_PHONE_SIZE = 256  # pixels; the default size if `longest_side` is None
_SIZES = ((96, 96), (97, 129), (131, 101))  # sizes of the compared pictures; pyramids round odd sizes
_EQUAL = 0.05  # largest difference of equal colors in gray levels; the scores of bins are sums of large numbers
# Decoders and resizing differ by one level, and rounding adds one. The share of other pixels may be this large.
_LEVELS, _WRONG = 2, 0.001
_KEPT = 0.5  # a pixel with a luma that differs by more than rounding was clipped


@dataclass(frozen=True)
class Colorization:
    """The task of a network that colors pictures.

    The model takes `image` `(batch, height, width, 3)` of any size in [0, 255] and returns the colored picture in the
    same form, such as a model of `kv.colorization.colorizer`. It may also take `hints` `(batch, height, width, 3)`, or
    `neighbors` `(batch, height, width, n)`, the luma of the neighboring frames of a video.

    | signature | input | outputs |
    |---|---|---|
    | `predict` | `image`, and `neighbors` if the model takes them | `colored`, RGB in [0, 255] |
    | `predict_hints` | `image`, `hints` | the same; only for a model with hints |
    | `serve_bytes` | `image_bytes` | `image_bytes`, PNG files in the sizes of the pictures, and `valid` |

    Attributes:
        longest_side: The largest length of the longer side of a picture, in pixels. `serve_bytes` and `kvision predict`
            shrink larger pictures to this length for the network, and put the colors on the original picture. If None,
            the default, pictures keep their size.
        standard: The standard of luma and chroma: `"bt601"`, `"bt709"` or `"bt2020"`.

    Example:
        >>> task = kv.tasks.Colorization(longest_side=512)
        >>> gray = np.full((4, 5, 3), 90, "uint8")
        >>> answer = task.decode({"colored": gray.astype("float32")}, kv.tasks.parts.png(gray))
        >>> answer.row
        {'tone': 'gray', 'colorfulness': 0.0, 'clipped': 0.0}
    """

    name: ClassVar[str] = "colorization"
    tflite: ClassVar[tuple[str, ...]] = ("float32",)
    score: ClassVar[str] = "chroma_psnr"
    draws: ClassVar[bool] = True

    longest_side: int | None = None
    standard: str = "bt601"

    @property
    def labels(self) -> None:
        """There are no classes."""
        return None

    @property
    def default_size(self) -> int:
        """Default height and width in pixels, for programs that do not choose a size."""
        return self.longest_side or _PHONE_SIZE

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task of an exported model.

        Args:
            facts: The content of `task.json`. Anyone may have written this file.
            labels: Not used.

        Returns:
            The task.

        Raises:
            ValueError: If the longest side or the standard is invalid.
        """
        side, standard = facts.get("longest_side"), facts.get("standard")
        if side is not None and not (type(side) is int and 1 <= side <= MAX_PIXELS):
            raise ValueError("longest_side is no number of pixels")
        if standard not in luma_chroma.COEFFICIENTS:
            raise ValueError("standard is unknown")
        return cls(side, standard)

    def facts(self, model: "keras.Model") -> dict[str, Any]:
        """Returns the longest side and the standard, for `task.json`."""
        return {"longest_side": self.longest_side, "standard": self.standard}

    def check(self, model: "keras.Model") -> "keras.Model":
        """Checks a network before it is exported.

        Args:
            model: The model of the user.

        Returns:
            The model.

        Raises:
            UserError: If the model does not color pictures, or if the standard is unknown.
        """
        checks.one_of("standard", self.standard, luma_chroma.COEFFICIENTS)
        inputs = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
        free, frames = (None, None, 3), inputs.get("neighbors", (0,))
        known = inputs in ({"image": free}, {"image": free, "hints": free}, {"image": free, "neighbors": frames})
        known = known and frames[:-1] in ((), (None, None))
        if not known or len(model.outputs) != 1 or tuple(model.outputs[0].shape[1:]) != free:
            raise checks.UserError(
                "model",
                problem="does not color pictures",
                expected="an input `image` (batch, None, None, 3), perhaps `hints` in the same shape or `neighbors` "
                "(batch, None, None, n), and one output (batch, None, None, 3), such as a model of "
                "kv.colorization.colorizer",
                received=f"{inputs} to {[tuple(tensor.shape[1:]) for tensor in model.outputs]}",
            )
        return model

    def functions(self, model: "keras.Model") -> dict[str, Callable]:
        """Returns `predict`. A model with hints gets none."""
        return colorization_signatures.functions(model)

    def signatures(self, model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns `serving_default`, `predict`, `serve_bytes` and, for a model with hints, `predict_hints`."""
        return colorization_signatures.served(model, functions, self.longest_side, self.standard)

    def cases(self, model: "keras.Model", images: Sequence[np.ndarray] | None = None) -> list[Case]:
        """Calls the model for each picture.

        Args:
            model: The model that `check` returned.
            images: A few pictures `(height, width, 3)` uint8. Noise is added: pictures of some odd and even sizes, and
                one that is larger than `longest_side`.

        Returns:
            A case of `predict` for each picture, a case of `serve_bytes` with all pictures and, for a model with hints,
            a case of `predict_hints`.

        Raises:
            UserError: If the outputs of the model are not colors.
        """
        random = np.random.default_rng(0)
        larger = [] if (side := self.longest_side) is None else [(side // 2 + 48, side + 37)]
        noise = [random.integers(0, 256, (*size, 3)).astype("uint8") for size in (*_SIZES, *larger)]
        pictures = [*(() if images is None else images), *noise]
        call, found, served = colorization_signatures.caller(model), [], {}
        count = colorization_signatures.neighbors(model)
        for number, image in enumerate(pictures):
            given = {"image": image[None].astype("float32")}
            if count:
                given["neighbors"] = random.uniform(0, 255, (1, *image.shape[:2], count)).astype("float32")
            colored = np.asarray(call(**given))
            if not np.isfinite(colored).all() or colored.min() < 0 or colored.max() > 255:
                raise checks.UserError(
                    "model",
                    problem="returns values that are no colors",
                    expected="RGB in [0, 255]",
                    received=f"{colored.min()} to {colored.max()}",
                    hint="kv.colorization.colorizer clips them unless clip=False",
                )
            found.append(Case("predict", given, {"colored": colored}))
            # Pillow's resizing may differ by one gray level, so the picture is resized as in the exported graph.
            small = np.asarray(graph.fit(image, self.longest_side))[None].astype("float32")
            still = np.asarray(call(small, **self.fill(small, {"neighbors": (count,)})))
            served[f"colored_{number}"] = rejoined(still[0], image, self.standard)
        encoded = np.array([png(image) for image in pictures], dtype=object)
        found.append(Case("serve_bytes", {"image_bytes": encoded}, served))
        if any(tensor.name == "hints" for tensor in model.inputs):
            pixels = noise[1][None].astype("float32")
            known = random.uniform(size=(*pixels.shape[:3], 1)) < 0.02
            hints = np.concatenate([random.uniform(-0.5, 0.5, (*known.shape[:3], 2)), np.ones(known.shape)], -1) * known
            given = {"image": pixels, "hints": hints.astype("float32")}
            found.append(Case("predict_hints", given, {"colored": np.asarray(call(**given))}))
        return found

    def differences(self, outputs: Arrays, expected: Arrays, *, kind: str = "saved_model") -> list[str]:
        """Compares colors, which may differ by 0.05 gray levels, or the colored files, which may differ by 2."""
        if "image_bytes" in outputs:
            return _wrong_files(outputs, expected)
        found, wanted = outputs.get("colored"), expected["colored"]
        if found is None or found.shape != wanted.shape:
            return [f"colored {None if found is None else found.shape}, expected {wanted.shape}"]
        error = float(np.abs(found - wanted).max())
        return [] if error <= _EQUAL else [f"colors differ by {error:.2e} for a picture {wanted.shape[1:3]}"]

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Decodes an image file and makes it smaller if it is larger than `longest_side`."""
        return pillow.fit(pillow.decode(content), self.longest_side)

    def fill(self, images: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
        """Returns the gray of the pictures themselves in place of their neighbors, for a model that takes them.

        Args:
            images: `(batch, height, width, 3)` RGB in [0, 255].
            shapes: The shapes of the inputs of the model by name.

        Returns:
            `neighbors` `(batch, height, width, n)` float32, or nothing.
        """
        count = shapes.get("neighbors", (0,))[-1]
        return {"neighbors": sepia.gray(images, self.standard).repeat(count, axis=3)} if count else {}

    def decode(self, outputs: Arrays, content: bytes) -> Answer:
        """Returns the colored picture in the size of the file.

        Args:
            outputs: The row of a picture in each output: `colored` or `image_bytes`.
            content: The bytes of the image file.

        Returns:
            The answer, with the tone of the file (`"color"`, `"gray"`, `"sepia"` or `"tint"`), the colorfulness of the
            colored picture and the share of pixels with a color that RGB does not have. The parts are the colored
            picture, and the picture before and after.

        Raises:
            UserError: If `outputs` has neither of the two.
        """
        image = pillow.decode(content)
        if "image_bytes" in outputs:
            colored = np.asarray(Image.open(io.BytesIO(outputs["image_bytes"])).convert("RGB"))
        elif np.ndim(found := outputs.get("colored")) == 3:
            colored = rejoined(np.asarray(found), image, self.standard)
        else:
            received = {name: np.shape(value) for name, value in outputs.items()}
            raise checks.UserError("outputs", expected="`colored`, a picture (h, w, 3)", received=received)
        return Answer(self._row(image, colored), [Picture(colored), Comparison(image, colored)])

    def _row(self, image: np.ndarray, colored: np.ndarray) -> dict[str, Any]:
        before = sepia.gray(image[None], self.standard)[0]
        # Rounding to 8 bits changes the luma by up to half a level.
        lost = np.abs(luma_chroma.luma(colored, self.standard) - before) > _KEPT + 0.01
        toned = bool(sepia.is_sepia(image[None])[0])
        return {
            "tone": "sepia" if toned else tone(image),
            "colorfulness": round(colorfulness(colored), 2),
            "clipped": round(float(lost.mean()), 4),
        }

    def measure(self, predicts: Mapping[str, Callable], dataset: "Pictures") -> dict[str, dict]:
        """Measures the chroma PSNR of several files of one model, with 95 % intervals (bootstrap over pictures).

        Args:
            predicts: Functions by name. Each one takes images and returns outputs by name. All functions are compared
                with the first one.
            dataset: Test pictures in color.

        Returns:
            A dictionary for each function, by name, with `chroma_psnr`, `interval`, `agreement` (the mean share of
            pixels that differ by at most one level from the first function) and `images`.
        """
        from kvision.colorization.evaluate import Scores

        examples = [dataset.example(i)[0] for i in range(len(dataset))]
        first, table = [], {}
        for name, predict in predicts.items():
            found = [predict(image[None].astype("float32"))["colored"][0] for image in examples]
            first = first or found
            scores = Scores.of(zip(examples, found, strict=True), self.standard)
            same = [np.mean(np.abs(a - b).max(axis=-1) <= 1) for a, b in zip(found, first, strict=True)]
            table[name] = {
                "chroma_psnr": scores.chroma_psnr,
                "interval": list(scores.interval),
                "agreement": float(np.mean(same)),
                "images": len(examples),
            }
        return table

    def card(self, model: "keras.Model") -> CardText:
        """Returns the text of the model card about the colors and how to call the model."""
        hinted = any(tensor.name == "hints" for tensor in model.inputs)
        frames = colorization_signatures.neighbors(model)
        row = "\n| predict_hints | image, hints | colored (batch, height, width, 3) |" if hinted else ""
        first, more = "image", ""
        if hinted:
            more = """
`hints`: float32 (batch, height, width, 3): Cb and Cr scaled to [-1, 1], and 1 where the color is known."""
        if frames:
            first, more = (
                "image, neighbors",
                f"""
`neighbors`: float32 (batch, height, width, {frames}): the luma of the neighboring frames in [0, 255], oldest first.
For a single picture, repeat its own luma.""",
            )
        return CardText(
            summary="A network that colors gray, sepia and color pictures, and keeps their brightness.",
            score="Peak signal-to-noise ratio of the chroma on test pictures in decibel, with 95 % interval (bootstrap "
            "over\npictures). The test pictures were used once:",
            use=f"""\
`image`: float32 (batch, height, width, 3), RGB in [0, 255], of any size. `image_bytes`: {names.IMAGE_BYTES}.{more}
If the longer side of a picture is larger than `longest_side` in task.json, the network gets the picture made smaller,
and its colors are enlarged to the size of the picture.

| signature | input | outputs |
|---|---|---|
| predict, serving_default | {first} | colored (batch, height, width, 3), RGB in [0, 255] |{row}
| serve_bytes | image_bytes | image_bytes (batch,): PNG files in the sizes of the pictures; valid (batch,) |

`valid` is false, and the file is empty, where an image cannot be decoded.

`model.tflite` beside this file has the signature predict with built-in operations only; task.json is packed into it.
The colors are plausible, and not those of the scene: a gray picture does not contain them.""",
        )


def _wrong_files(outputs: Arrays, expected: Arrays) -> list[str]:
    problems = []
    for number, (content, valid) in enumerate(zip(outputs["image_bytes"], outputs["valid"], strict=True)):
        if not valid:
            problems.append("a picture was not decoded")
            continue
        found, wanted = np.asarray(Image.open(io.BytesIO(content))), expected[f"colored_{number}"]
        if found.shape != wanted.shape:
            problems.append("a colored picture has another size than its file")
        elif (share := float((np.abs(found.astype(int) - wanted).max(axis=-1) > _LEVELS).mean())) > _WRONG:
            problems.append(f"{share:.1%} of the pixels of a colored file differ from those of the model")
    return problems
