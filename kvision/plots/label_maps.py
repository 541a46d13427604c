"""Draws labels of pixels as pictures, and measures of classes as bars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.pixels.label_colors import colored
from kvision.plots.names import drawn, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["class_bars", "label_maps"]

_GAP = 4  # pixels between two pictures


def label_maps(
    axes: "Axes",
    images: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    class_names: Sequence[str],
    colors: Sequence[Sequence[int]],
    *,
    edges: Sequence[np.ndarray] | None = None,
) -> "Axes":
    """Draws one row per image: the image, its predicted labels, its reference labels and its edges, with a legend.

    Args:
        axes: Where to draw.
        images: `(height, width, 3)` uint8 each. Sizes may differ.
        predictions: `(height, width)` each: the predicted labels of the pixels.
        references: `(height, width)` each: the true labels. Pixels with a label that does not belong to a class are
            white.
        class_names: Names of the classes. The legend shows the classes that occur.
        colors: `(classes, 3)`, one color in [0, 255] for each class.
        edges: `(height, width)` uint8 each: 255 times the edge probability of each pixel. If None, no edges are drawn.

    Returns:
        `axes`.

    Raises:
        UserError: If there are no images.

    Example:
        >>> from matplotlib.figure import Figure
        >>> image, labels = np.zeros((8, 8, 3), "uint8"), np.eye(8, dtype="uint8")
        >>> colors = [(0, 0, 0), (200, 0, 0)]
        >>> axes = kv.plots.label_maps(Figure().subplots(), [image], [labels], [labels], ["sky", "cat"], colors)
    """
    from matplotlib.patches import Patch

    if not len(images):
        raise checks.UserError("images", problem="are empty", expected="one image or more", received=0)
    width = max(image.shape[1] for image in images)
    titles = ["image", "prediction", "reference", *(() if edges is None else ["edges"])]
    rows = []
    for number, (image, predicted, reference) in enumerate(zip(images, predictions, references, strict=True)):
        row = np.full((image.shape[0] + _GAP, len(titles) * (width + _GAP), 3), 255, "uint8")
        parts = [image, colored(predicted, colors), colored(reference, colors)]
        parts += [] if edges is None else [np.repeat(edges[number][..., None], 3, axis=2)]
        for column, part in enumerate(parts):
            left = column * (width + _GAP)
            row[: image.shape[0], left : left + image.shape[1]] = part
        rows.append(row)
    axes.imshow(np.concatenate(rows), interpolation="nearest")
    ticks = [column * (width + _GAP) + width / 2 for column in range(len(titles))]
    axes.set(xticks=ticks, xticklabels=titles, yticks=[])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    found = np.unique(np.concatenate([labels.ravel() for labels in (*predictions, *references)]))
    shown = [label for label in found if label < len(class_names)]
    patches = [Patch(facecolor=np.array(colors[label]) / 255, edgecolor="gray") for label in shown]
    names = [class_names[label] for label in shown]
    legend(axes, patches, names, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    return axes


def class_bars(axes: "Axes", values: Sequence[float], class_names: Sequence[str], *, label: str) -> "Axes":
    """Draws a horizontal bar for each class, the first class on top.

    Args:
        axes: Where to draw.
        values: A value in [0, 1] for each class. NaN has no bar.
        class_names: Names of the classes.
        label: Label of the axis, such as "IoU".

    Returns:
        `axes`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = kv.plots.class_bars(Figure().subplots(), [0.5, 0.9], ["cat", "dog"], label="IoU")
    """
    known = np.nan_to_num(np.asarray(values, "float64"))
    bars = axes.barh(range(len(known)), known, color="#4878a8")
    axes.bar_label(bars, ["-" if np.isnan(v) else f"{v:.2f}" for v in values], padding=3)
    texts, properties = drawn(class_names)
    axes.set_yticks(range(len(known)), texts, **properties)
    axes.set(xlim=(0, 1), xlabel=label)
    axes.invert_yaxis()
    return axes
