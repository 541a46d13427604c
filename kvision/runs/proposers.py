"""Where the proposals of a run come from, and how many objects they cover."""

import dataclasses
import functools
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import kvision as kv
from kvision import atomic, npz
from kvision.progress import Bar
from kvision.runs.records import Records
from kvision.runs.result import Split

if TYPE_CHECKING:
    import keras

    from kvision.data import BoxedImages
    from kvision.detection import RCNN

__all__ = ["PROPOSERS", "Proposer", "proposer_of", "recalls_of"]

PROPOSERS = ("learned", "grid", "selective_search", "rotated_segments")
COUNTS = (10, 20, 50, 100, 200, 300, 500, 1000, 2000)
"""Numbers of proposals whose recall is measured."""
OTHERS = ("grid", "selective_search", "rotated_segments")
"""Proposers that are compared with the chosen one."""
_MOST_IMAGES = 50  # test images on which the recall is measured, because some proposers are slow
_DEFAULT_COUNT = {"learned": 300}  # as in Faster R-CNN; 2,000 for the others, as in R-CNN


@dataclasses.dataclass(frozen=True)
class Proposer:
    """A source of proposals.

    Attributes:
        name: One of `PROPOSERS`.
        boxes: A function of images that returns the proposals of each image in its training size.
        layer: A layer from an image to proposals, for the exported model. OpenCV's proposals cannot be exported, so
            their layer is a grid.
        exact: Whether `layer` gives the same proposals as `boxes`.
    """

    name: str
    boxes: Callable[["BoxedImages"], list[np.ndarray]]
    layer: Any
    exact: bool


def proposer_of(split: Split, config: Any, records: Records, learned: "RCNN | None", prefix: str) -> Proposer:
    """Creates the source of proposals that the settings name.

    Args:
        split: The data of the run.
        config: The settings `proposer` and `proposals`.
        records: Where slow proposals are recorded.
        learned: The trained network with the learned proposer, or None.
        prefix: Begins the names of the records.

    Returns:
        The source of proposals.
    """
    count = config.proposals or _DEFAULT_COUNT.get(config.proposer, 2000)
    if config.proposer == "learned" and learned is not None:
        layer = learned.proposals(count)
        return Proposer("learned", lambda images: kv.detection.propose(learned, images, count), layer, exact=True)
    shares = kv.detection.fitted_grid(split.train, count)
    layer = kv.layers.Grid(shares, name="grid")
    if config.proposer == "grid":
        return Proposer("grid", functools.partial(_on_grid, layer), layer, exact=True)
    search = {"selective_search": kv.detection.selective_search, "rotated_segments": kv.detection.rotated_segments}
    name = f"{prefix}{config.proposer}"

    def searched(images: "BoxedImages") -> list[np.ndarray]:
        function = functools.partial(search[config.proposer], count=count)
        return _recorded(records, f"{name}-{images.fingerprint[:8]}", images, function)

    return Proposer(config.proposer, searched, layer, exact=False)


def _on_grid(layer: "keras.layers.Layer", images: "BoxedImages") -> list[np.ndarray]:
    sizes = [kv.pixels.pillow.fitted(size, images.longest_side) for size in images.sizes]
    return [np.asarray(layer(np.zeros((1, *size, 1), "float32")))[0] for size in sizes]


def _recorded(records: Records, name: str, images: "BoxedImages", function: Callable) -> list[np.ndarray]:
    """Computes the proposals of each image, or reads them from the run's folder."""
    path = records.path(f"{name}.npz")
    if path is not None and path.exists():
        arrays = npz.read(path, stored=True)
        return np.split(arrays["boxes"], np.cumsum(arrays["counts"])[:-1])
    bar = Bar(range(len(images)), name, unit=" images")
    found = [function(images.example(i)[0]) for i in bar]
    if path is not None and records.is_chief:
        with atomic.file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, boxes=np.concatenate(found), counts=np.array([len(boxes) for boxes in found]))
    return found


def recalls_of(
    split: Split, config: Any, records: Records, learned: "RCNN | None", prefix: str
) -> dict[str, dict[str, float]]:
    """Measures the recall of the proposals, and of those of other proposers, at several numbers of proposals.

    Args:
        split: The data of the run. At most 50 test images are used.
        config: The settings `proposer` and `seed`.
        records: Where the result is recorded.
        learned: The trained network with the learned proposer, or None.
        prefix: Begins the names of the records.

    Returns:
        For each proposer, the share of the objects that its first proposals cover, by their number.
    """
    name = f"{prefix}recall"
    if record := records.done_or_wait(name, recalls=dict):
        return record["recalls"]
    images = split.test.some(_MOST_IMAGES, seed=config.seed)
    drawn = [images.example(i)[1] for i in range(len(images))]
    kind = "selective_search" if images.rotated else "rotated_segments"  # of the other kind of boxes
    others = [name for name in OTHERS if name != kind and (name == "grid" or importlib.util.find_spec("cv2"))]
    recalls = {}
    for proposer in dict.fromkeys([config.proposer, *others]):
        most = dataclasses.replace(config, proposer=proposer, proposals=COUNTS[-1])
        found = proposer_of(split, most, records, learned, f"{prefix}recall-").boxes(images)
        shares = kv.detection.recall(found, drawn, COUNTS)
        recalls[proposer] = dict(zip(map(str, COUNTS), shares.tolist(), strict=True))
    records.finish(name, {"recalls": recalls})
    return recalls
