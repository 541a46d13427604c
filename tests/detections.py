"""Random objects, and detections of which many are right."""

import numpy as np

from kvision.objects import Objects

CLASSES = 3


def scene(random: np.random.Generator, *, difficult: bool = False) -> tuple[Objects, Objects]:
    """Drawn objects, and detections of which many are near one of them; ties in the scores."""
    count, extra = int(random.integers(0, 7)), int(random.integers(0, 9))
    start = random.uniform(0, 200, (count, 2))
    drawn = np.concatenate([start, start + random.uniform(10, 120, (count, 2))], 1).astype("float32")
    labels = random.integers(0, CLASSES, count).astype("int32")
    source = random.integers(0, count, extra if count else 0)
    near = drawn[source]
    boxes = (near + random.normal(0, 8, near.shape)).astype("float32")
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    guessed = np.where(random.random(len(boxes)) < 0.8, labels[source], 0).astype("int32")
    scores = random.integers(1, 50, len(boxes)) / 50
    hard = random.random(count) < 0.3 if difficult else None
    return Objects(drawn, labels, difficult=hard), Objects(boxes, guessed, scores)


def scenes(count: int, **options) -> tuple[list[Objects], list[Objects]]:
    random = np.random.default_rng(0)
    drawn, found = zip(*(scene(random, **options) for _ in range(count)), strict=True)
    return list(drawn), list(found)
