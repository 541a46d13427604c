"""Images with boxes. All files are checked once, then images are read one by one."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.data import coco_json, dota_txt, voc_xml, yolo_txt
from kvision.data.annotated import Annotated, checked
from kvision.data.scan import BadFile, pixel_hash
from kvision.data.unchanged import read_unchanged
from kvision.objects import Objects, countable, rows
from kvision.pixels import MAX_BYTES, BadImage, pillow
from kvision.progress import Bar

if TYPE_CHECKING:  # scanning a folder does not wait for Keras
    import keras

__all__ = ["LAYOUTS", "BoxedImages", "from_boxes"]

LAYOUTS = {"voc": voc_xml, "coco": coco_json, "dota": dota_txt, "yolo": yolo_txt}
_EXPECTED = (
    "Pascal VOC (JPEGImages/, Annotations/), COCO (annotations/*.json and folders of images), DOTA (images/, "
    "labelTxt/) or YOLO (images/, labels/ and classes.txt)"
)


@dataclass(frozen=True, eq=False)
class BoxedImages:
    """Images and boxes of one folder. `from_boxes` creates them. Sequences have one entry per image.

    Attributes:
        folder: The folder.
        class_names: The classes.
        names: Relative paths of the images.
        objects: The objects of each image, in pixels of the image. A background image has no objects.
        pixel_hashes: Hash of the decoded pixels of each image. Exact copies have equal hashes.
        file_hashes: SHA-256 of the bytes of each image.
        sizes: (height, width) of each image.
        part: `(n,)` "train", "validation" or "test". None if the folder has no parts.
        rotated: Whether the boxes are rotated.
        bad: Images and annotations that cannot be used, with the reasons.
        notes: Sentences for the report.
        longest_side: Longest side in pixels. `example` makes larger images and their boxes smaller. If None, all images
            keep their size.
    """

    folder: Path
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    objects: tuple[Objects, ...]
    pixel_hashes: tuple[str, ...]
    file_hashes: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    part: np.ndarray | None
    rotated: bool = False
    bad: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()
    longest_side: int | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """A hash that changes with any image or box, with their order, with the classes and with the size."""
        drawn = [[one.boxes.tolist(), one.labels.tolist(), np.asarray(one.difficult).tolist()] for one in self.objects]
        text = repr([self.file_hashes, drawn, self.class_names, self.longest_side])
        return hashlib.sha256(text.encode()).hexdigest()

    def subset(self, indices: Sequence[int] | np.ndarray) -> "BoxedImages":
        """Returns the images at `indices`, in that order."""
        fields = ("names", "objects", "pixel_hashes", "file_hashes", "sizes")
        chosen = {name: tuple(getattr(self, name)[i] for i in indices) for name in fields}
        return replace(self, **chosen, part=None if self.part is None else self.part[list(indices)])

    def some(self, count: int, *, seed: int = 0) -> "BoxedImages":
        """Returns `count` random images in their order, or all images if there are not more than `count`."""
        if count >= len(self):
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def path(self, index: int) -> str:
        """Returns the path of the file of an image."""
        return str(self.folder / self.names[index])

    def original(self, index: int) -> np.ndarray:
        """Returns an image in its own size, `(height, width, 3)` uint8.

        Raises:
            UserError: If the file has changed since `from_boxes` read it.
        """
        return read_unchanged(Path(self.path(index)), self.file_hashes[index], pillow.decode)

    def scale(self, index: int) -> float:
        """Returns the factor by which `example` makes an image smaller, at most 1."""
        return 1.0 if self.longest_side is None else min(1.0, self.longest_side / max(self.sizes[index]))

    def example(self, index: int) -> tuple[np.ndarray, Objects]:
        """Returns an image in its training size, `(h, w, 3)` uint8, and its objects in pixels of that image."""
        image, objects = pillow.fit(self.original(index), self.longest_side), self.objects[index]
        factors = np.ones(objects.boxes.shape[1], "float32")
        factors[:4] = self.scale(index)
        return image, objects._replace(boxes=objects.boxes * factors)

    @cached_property
    def most(self) -> int:
        """The largest number of objects in an image, at least 1. Difficult objects are not counted."""
        return max([1, *(len(countable(one).labels) for one in self.objects)])

    def stack(self, examples: Sequence[tuple[np.ndarray, Objects]]) -> tuple[np.ndarray, np.ndarray]:
        """Returns a batch: images `(n, height, width, 3)` uint8, and objects `(n, most, 5 or 6)`; see `rows`."""
        images, objects = zip(*examples, strict=True)
        return np.stack(images), rows(objects, self.most)

    def spec(self, height: int, width: int) -> tuple["keras.KerasTensor", "keras.KerasTensor"]:
        """Returns a batch of this size as `keras.KerasTensor` objects; see `kv.data.Augmentable`."""
        import keras

        columns = 6 if self.rotated else 5
        images = keras.KerasTensor((None, height, width, 3), "uint8")
        return images, keras.KerasTensor((None, self.most, columns), "float32")


def from_boxes(
    folder: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    longest_side: int | None = None,
    progress: bool = True,
    argument: str = "folder",
) -> BoxedImages:
    """Reads every image and every box in a folder once, and keeps all usable images.

    The folder can have the layout of Pascal VOC, COCO, YOLO or DOTA (rotated boxes). Boxes are cut at the border of
    their image. An image without objects is a background image. `bad` lists images that cannot be decoded or have no
    annotation. `bad` also lists boxes that are empty, swapped, outside their image or of an unknown class. The
    remaining boxes of such an image are used.

    Args:
        folder: The folder.
        class_names: The classes, in the order of their labels. Defaults to the classes of the data. COCO and YOLO
            define the order of the classes. For the remaining layouts, the classes are sorted.
        longest_side: Longest side in pixels. Larger images are made smaller for training; see `BoxedImages`.
        progress: Whether to show a progress bar.
        argument: Name of the argument with the folder, for errors.

    Returns:
        The images that can be used.

    Raises:
        UserError: If the layout is unknown, or if no image can be used.
    """
    folder = Path(folder)
    checks.positive({"longest_side": longest_side})
    try:
        layout, found, names = _annotations(folder, class_names)
    except checks.UserError as error:
        raise error.renamed(argument) from error.__cause__

    def look(one: Annotated):
        try:
            return _looked_at(one, names)
        except (OSError, ValueError) as reason:
            return str(getattr(reason, "strerror", None) or reason)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bar = Bar(pool.map(look, found), "boxes", len(found), unit=" images", disable=not progress)
        outcomes = list(zip(found, bar, strict=True))
    bad, good, cut = [], [], 0
    for one, outcome in outcomes:
        name = one.image.relative_to(folder).as_posix()
        if isinstance(outcome, str):
            bad.append(BadFile(name, outcome))
        else:
            good.append((name, one, outcome))
            bad += [BadFile(name, problem) for problem in outcome[3]]
            cut += outcome[4]
    if not good:
        hint = f"{bad[0].path}: {bad[0].reason}" if bad else ""
        raise checks.UserError(
            argument, problem="has no image that can be used", expected=_EXPECTED, received=str(folder), hint=hint
        )
    part = [one.part for _, one, _ in good]
    notes = [f"{cut} boxes reach outside of their image and were cut at its border"] if cut else []
    return BoxedImages(
        folder=folder,
        class_names=names,
        names=tuple(name for name, *_ in good),
        objects=tuple(outcome[0] for *_, outcome in good),
        pixel_hashes=tuple(outcome[1] for *_, outcome in good),
        file_hashes=tuple(outcome[2] for *_, outcome in good),
        sizes=tuple(outcome[5] for *_, outcome in good),
        part=None if None in part else np.array(part),
        rotated=layout is dota_txt,
        bad=tuple(bad),
        notes=tuple(notes),
        longest_side=longest_side,
    )


def _annotations(folder: Path, class_names: Sequence[str] | None) -> tuple:
    """Returns the layout of the folder, all annotations and the class names."""
    layout = next((one for one in LAYOUTS.values() if folder.is_dir() and one.fits(folder)), None)
    if layout is None:
        problem = "is laid out in no known way"
        raise checks.UserError("folder", problem=problem, expected=_EXPECTED, received=str(folder))
    try:
        found = list(layout.read(folder))
        if class_names is None and hasattr(layout, "class_names"):
            class_names = layout.class_names(folder)
        return layout, found, tuple(class_names or sorted({name for one in found for name in one.names}))
    except checks.UserError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as reason:
        problem = f"has annotations that cannot be read ({type(reason).__name__}: {reason})"
        raise checks.UserError("folder", problem=problem, expected=_EXPECTED, received=str(folder)) from reason


def _looked_at(one: Annotated, names: tuple[str, ...]) -> tuple:
    """Returns objects, pixel hash, file hash, problems, the number of boxes that were cut, and the size."""
    if one.problem:
        raise BadImage(one.problem)
    with one.image.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)  # a file with more than MAX_BYTES is refused when its header is read
    pixels = pillow.decode(data)
    size = pixels.shape[:2]
    if one.size is not None and one.size != size:
        turned = " (turned by its EXIF orientation)" if one.size == size[::-1] else ""
        raise BadImage(f"its annotation is for an image of {one.size} pixels, it has {size}{turned}")
    objects, problems, cut = checked(one, size, names)
    return objects, pixel_hash(pixels), hashlib.sha256(data).hexdigest(), problems, cut, size
