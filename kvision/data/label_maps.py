"""Which number in a mask's file stands for which class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kvision import checks, class_names
from kvision.pixels.label_colors import palette

__all__ = ["CAMVID", "CITYSCAPES", "IGNORE", "LABEL_MAPS", "VOC", "LabelMap", "label_map"]

IGNORE = 255  # the label of pixels that do not count
_IGNORED_NAMES = {"void", "ignore", "ignored", "unlabeled", "unlabelled"}


@dataclass(frozen=True)
class LabelMap:
    """names: of the classes 0 ... K - 1. ids: {number in a file, 0 to 255: class, or IGNORE}; 255 is ignored unless it
    says otherwise. colors: (K, 3) RGB for pictures, those of Pascal VOC if left out."""

    names: tuple[str, ...]
    ids: Mapping[int, int]
    colors: Sequence[tuple[int, int, int]] = field(default=())

    def __post_init__(self):
        classes = set(range(len(self.names)))
        if not 2 <= len(self.names) <= IGNORE:
            raise checks.error("names", expected="two to 255 names", received=self.names)
        class_names.check("names", self.names)
        if not set(self.ids) <= set(range(256)) or not classes <= set(self.ids.values()) <= classes | {IGNORE}:
            raise checks.error("ids", expected=f"0 to 255 -> every class of 0 to {len(classes) - 1}", received=self.ids)
        if not self.colors:
            object.__setattr__(self, "colors", palette(len(self.names)))

    def classes(self, mask: np.ndarray) -> np.ndarray:
        """(H, W) uint8 numbers of a file -> classes and IGNORE; ValueError naming the numbers that are not known."""
        table = np.full(256, -1, "int16")
        table[255] = IGNORE
        for number, label in self.ids.items():
            table[number] = label
        found = table[mask]
        if (found < 0).any():
            unknown = np.unique(mask[found < 0]).tolist()
            raise ValueError(f"it holds {', '.join(map(str, unknown[:10]))}, of which the class names say nothing")
        return found.astype("uint8")


VOC = LabelMap(
    names=(
        *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
        *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
    ),
    ids={number: number for number in range(21)},
)
# the eleven classes and the order of SegNet (Badrinarayanan et al. 2017), with its colors; 11 is void
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
# the ids of gtFine_labelIds, of which 19 are trained on (cityscapesScripts, helpers/labels.py)
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
    """camvid, cityscapes, voc, or the path of a text file: a class name a line, line n for the number n, from 0.

    Lines "void", "ignore" or "unlabeled" stand for pixels that do not count. Raises UserError for a file that is
    missing, is no text, or names fewer than two classes or one of them twice.
    """
    if str(classes) in LABEL_MAPS:
        return LABEL_MAPS[str(classes)]
    path = Path(classes)
    expected = f"{', '.join(LABEL_MAPS)}, or a text file with a class name a line"
    if not path.is_file():
        raise checks.error("classes", problem="names no file", expected=expected, received=str(classes))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # Windows' editors write a mark before the text
    except UnicodeDecodeError as reason:
        raise checks.error("classes", problem="is no text", expected=expected, received=str(classes)) from reason
    lines = [line.strip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    names = [line for line in lines if line.lower() not in _IGNORED_NAMES]
    if len(lines) > 256 or "" in names or not 2 <= len(names) <= IGNORE:
        raise checks.error(
            "classes",
            problem=f"'{path.name}' is no list of classes",
            expected="two to 255 names, one on each line",
            received=lines,
        )
    class_names.check("classes", names, hint=f"Change {path.name}")
    ids = {number: names.index(line) if line in names else IGNORE for number, line in enumerate(lines)}
    return LabelMap(tuple(names), ids)
