"""Maps from the numbers in mask files to classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kvision import checks, class_names
from kvision.pixels.label_colors import palette

__all__ = ["CAMVID", "CITYSCAPES", "IGNORE", "LABEL_MAPS", "VOC", "LabelMap", "label_map"]

IGNORE = 255  # the label of pixels that count neither in training nor in a metric
_IGNORED_NAMES = {"void", "ignore", "ignored", "unlabeled", "unlabelled"}


@dataclass(frozen=True)
class LabelMap:
    """The classes of masks, and the numbers for these classes in mask files.

    Attributes:
        names: Names of the classes 0 to K - 1.
        ids: Dict from each number in a file, 0 to 255, to a class or `IGNORE`. The number 255 is ignored if it is not
            listed.
        colors: One RGB color per class, for pictures. Defaults to the colors of Pascal VOC.

    Example:
        >>> labels = kv.data.LabelMap(("ground", "tree"), {0: 0, 7: 1})
        >>> labels.classes(np.array([[0, 7, 255]], "uint8")).tolist()
        [[0, 1, 255]]
    """

    names: tuple[str, ...]
    ids: Mapping[int, int]
    colors: Sequence[tuple[int, int, int]] = field(default=())

    def __post_init__(self):
        classes = set(range(len(self.names)))
        if not 2 <= len(self.names) <= IGNORE:
            raise checks.UserError("names", expected="two to 255 names", received=self.names)
        class_names.check("names", self.names)
        if not set(self.ids) <= set(range(256)) or not classes <= set(self.ids.values()) <= classes | {IGNORE}:
            raise checks.UserError(
                "ids", expected=f"numbers from 0 to 255 for every class from 0 to {len(classes) - 1}", received=self.ids
            )
        if not self.colors:
            object.__setattr__(self, "colors", palette(len(self.names)))

    def classes(self, mask: np.ndarray) -> np.ndarray:
        """Converts the pixel values of a mask file to class numbers.

        Args:
            mask: Numbers `(height, width)` uint8.

        Returns:
            Classes or `IGNORE`, `(height, width)` uint8.

        Raises:
            ValueError: If numbers are unknown. The message lists these numbers.
        """
        table = np.full(256, -1, "int16")
        table[255] = IGNORE
        for number, label in self.ids.items():
            table[number] = label
        found = table[mask]
        if (found < 0).any():
            unknown = np.unique(mask[found < 0]).tolist()
            raise ValueError(f"it holds {', '.join(map(str, unknown[:10]))}, which stand for no class")
        return found.astype("uint8")


VOC = LabelMap(
    names=(
        *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
        *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
    ),
    ids={number: number for number in range(21)},
)
# The eleven classes of SegNet (Badrinarayanan et al. 2017), with SegNet's order and colors. 11 is void.
CAMVID = LabelMap(
    names=(
        *("sky", "building", "pole", "road", "pavement", "tree"),
        *("sign", "fence", "car", "pedestrian", "cyclist"),
    ),
    ids={**{number: number for number in range(11)}, 11: IGNORE},
    colors=(
        *((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0)),
        *((192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
    ),
)
# The ids of the 19 training classes in gtFine_labelIds (cityscapesScripts, helpers/labels.py).
_CITYSCAPES = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
CITYSCAPES = LabelMap(
    names=tuple(_CITYSCAPES),
    ids={
        **dict.fromkeys(range(34), IGNORE),
        **{number: label for label, (number, _) in enumerate(_CITYSCAPES.values())},
    },
    colors=tuple(color for _, color in _CITYSCAPES.values()),
)
LABEL_MAPS = {"camvid": CAMVID, "cityscapes": CITYSCAPES, "voc": VOC}


def label_map(classes: str | Path) -> LabelMap:
    """Returns the label map of a dataset, or reads one from a text file.

    Args:
        classes: "camvid", "cityscapes", "voc", or the path of a text file with one class name per line. The first line
            is for the number 0. A line "void", "ignore" or "unlabeled" is for pixels that do not count.

    Returns:
        The label map.

    Raises:
        UserError: If the file is missing or is not a text file, if it has fewer than two classes, or if a class occurs
            twice.

    Example:
        >>> kv.data.label_map("voc").names[:3]
        ('background', 'aeroplane', 'bicycle')
    """
    if str(classes) in LABEL_MAPS:
        return LABEL_MAPS[str(classes)]
    path = Path(classes)
    expected = f"{', '.join(LABEL_MAPS)}, or a text file with one class name per line"
    if not path.is_file():
        raise checks.UserError("classes", problem="names no file", expected=expected, received=str(classes))
    try:
        # Editors on Windows write a byte order mark at the beginning.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as reason:
        raise checks.UserError(
            "classes", problem="is not a text file", expected=expected, received=str(classes)
        ) from reason
    lines = [line.strip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    names = [line for line in lines if line.lower() not in _IGNORED_NAMES]
    if len(lines) > 256 or "" in names or not 2 <= len(names) <= IGNORE:
        raise checks.UserError(
            "classes",
            problem=f"'{path.name}' is not a list of classes",
            expected="two to 255 names, one on each line",
            received=lines,
        )
    class_names.check("classes", names, hint=f"Change {path.name}")
    ids = {number: names.index(line) if line in names else IGNORE for number, line in enumerate(lines)}
    return LabelMap(tuple(names), ids)
