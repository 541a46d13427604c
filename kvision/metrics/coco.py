"""The twelve numbers by which COCO compares detectors."""

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from kvision import checks, installation
from kvision.objects import Objects

__all__ = ["NAMES", "coco_summary", "installed"]

NAMES = (
    *("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge"),
    *("ARmax1", "ARmax10", "ARmax100", "ARsmall", "ARmedium", "ARlarge"),
)


def coco_summary(found: Sequence[Objects], drawn: Sequence[Objects], classes: int) -> dict[str, float]:
    """Computes COCO's twelve numbers with faster-coco-eval, or with pycocotools if only that is installed.

    `average_precision` computes `AP`, `AP50` and `AP75` without these packages, for single classes, and for rotated
    boxes. Here, difficult objects are passed as COCO's crowds: several detections may lie in one of them, and none of
    these counts.

    Args:
        found: Detections of each image, with scores and axis-aligned boxes.
        drawn: Objects of each image, with axis-aligned boxes.
        classes: Number of classes.

    Returns:
        Values in [0, 1] by name. `AP` is the average precision, as a mean over the classes and the intersections over
        union .5, .55 ... .95; `AP50` and `AP75` are the values at .5 and .75. `APsmall`, `APmedium` and `APlarge` are
        for objects of an area below 32 x 32 pixels, between, and above 96 x 96 pixels. `ARmax1`, `ARmax10` and
        `ARmax100` are the average recall of so many detections per class and image; `ARsmall`, `ARmedium` and `ARlarge`
        are the average recall of 100 detections. NaN if there are no such objects.

    Raises:
        UserError: If neither package is installed, if boxes are rotated, or if `found` and `drawn` have different
            numbers of images.

    References:
        Lin et al. 2014, arXiv 1405.0312; https://cocodataset.org/#detection-eval.
    """
    if len(found) != len(drawn):
        raise checks.UserError("found", expected=f"detections for {len(drawn)} images", received=len(found))
    for argument, objects in (("found", found), ("drawn", drawn)):
        if any(len(one.labels) and one.boxes.shape[1] != 4 for one in objects):
            raise checks.UserError(
                argument,
                problem="has rotated boxes",
                expected="axis-aligned boxes (n, 4)",
                received="(n, 5)",
                hint="Use kv.metrics.average_precision for rotated boxes",
            )
    index, evaluation = _package()
    with contextlib.redirect_stdout(io.StringIO()):  # both packages print tables
        run = evaluation(*(_indexed(index(), objects, classes) for objects in (drawn, found)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    # COCO writes -1 for a number that does not exist.
    return {name: float("nan") if value < 0 else float(value) for name, value in zip(NAMES, run.stats, strict=False)}


def installed() -> bool:
    """Returns whether one of the packages that compute the numbers is installed."""
    return any(importlib.util.find_spec(name) for name in ("faster_coco_eval", "pycocotools"))


def _package() -> tuple[Any, Any]:
    """Returns the classes `COCO` and `COCOeval` of the package that is installed."""
    if importlib.util.find_spec("faster_coco_eval"):
        import faster_coco_eval

        return faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster
    if importlib.util.find_spec("pycocotools"):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        return COCO, COCOeval
    raise checks.UserError(
        f"COCO's numbers need a package that is not installed. Run: {installation.extra('detection')}"
    )


def _indexed(index: Any, objects: Sequence[Objects], classes: int) -> Any:
    """Fills a `COCO` object with drawn or found objects, and returns it."""
    rows = []
    for image, one in enumerate(objects):
        corners = np.asarray(one.boxes, "float64").reshape(-1, 4)
        sides = corners[:, 2:] - corners[:, :2]
        difficult = np.zeros(len(corners), bool) if one.difficult is None else one.difficult
        scores = np.ones(len(corners)) if one.scores is None else one.scores
        for (top, left), (height, width), label, crowd, score in zip(
            corners[:, :2], sides, one.labels, difficult, scores, strict=True
        ):
            row = {"id": len(rows) + 1, "image_id": image, "category_id": int(label), "iscrowd": int(crowd)}
            box = {"bbox": [float(v) for v in (left, top, width, height)], "area": float(height * width)}
            rows.append({**row, **box, "score": float(score)})
    images, categories = [{"id": i} for i in range(len(objects))], [{"id": i} for i in range(classes)]
    index.dataset = {"images": images, "categories": categories, "annotations": rows}
    index.createIndex()
    return index
