"""Draws shapes on textured grounds, for rendered datasets."""

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["SHAPES", "coverage", "distance", "extent", "ground", "paint"]

_FINE = 4  # shapes are drawn this much larger and then made smaller, so that their edges are smooth


def _arc(start: float, stop: float, radius: float = 1.0, center: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    turn = np.linspace(start, stop, 48) * np.pi
    return radius * np.stack([np.cos(turn), np.sin(turn)], 1) + center


def _star(radii: tuple[float, ...], corners: int) -> np.ndarray:
    """Returns a polygon whose corners have these distances from the middle in turn. The first corner is on top."""
    turn = 2 * np.pi * np.arange(corners) / corners - np.pi / 2
    return np.resize(radii, corners)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 64)
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([16 * np.sin(t) ** 3, y], 1)


def _crescent() -> np.ndarray:
    tip = np.array([0.35, np.sqrt(1 - 0.35**2)])  # where both arcs meet
    middle = np.array([0.6, 0.0])
    radius, angle = np.hypot(*(tip - middle)), np.arctan2(tip[1], tip[0] - middle[0]) / np.pi
    outer = np.arctan2(tip[1], tip[0]) / np.pi
    return np.concatenate([_arc(outer, 2 - outer), _arc(2 - angle, angle, radius, (0.6, 0.0))])


def _fill(*polygons: np.ndarray) -> tuple[np.ndarray, ...]:
    """Scales polygons together so that the first polygon reaches from -1 to 1 on its longer side, in the middle."""
    low, high = polygons[0].min(0), polygons[0].max(0)
    return tuple((polygon - (low + high) / 2) / (high - low).max() * 2 for polygon in polygons)


def _box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


_ARROW = np.array([[-1, -0.2], [0.1, -0.2], [0.1, -0.6], [1, 0], [0.1, 0.6], [0.1, 0.2], [-1, 0.2]])
_CROSS = np.array(
    [[1, 3], [3, 3], [3, 1], [1, 1], [1, -1], [-1, -1], [-1, 1], [-3, 1], [-3, 3], [-1, 3], [-1, 5], [1, 5]]
)
_CAR = [
    [-1, -0.3],
    [-0.9, -0.42],
    [0.7, -0.42],
    [0.95, -0.3],
    [1, 0],
    [0.95, 0.3],
    [0.7, 0.42],
    [-0.9, 0.42],
    [-1, 0.3],
]

SHAPES = {
    "circle": _fill(_arc(0, 2)),
    "square": _fill(_box(-1, -1, 1, 1)),
    "triangle": _fill(_star((1.0,), 3)),
    "star": _fill(_star((1.0, 0.4), 10)),
    "ring": _fill(_arc(0, 2), _arc(0, 2, 0.6)),
    "cross": _fill(_CROSS),
    "crescent": _fill(_crescent()),
    "arrow": _fill(_ARROW),
    "hexagon": _fill(_star((1.0,), 6)),
    "heart": _fill(_heart()),
    "bar": _fill(_box(-1, -0.15, 1, 0.15)),
    "ellipse": _fill(_arc(0, 2) * (1, 0.4)),
    "car": _fill(np.array(_CAR), _box(0.2, -0.32, 0.5, 0.32), _box(-0.8, -0.3, -0.6, 0.3)),
}
"""Polygons `(points, 2)` of x and y in [-1, 1]. The first polygon is filled, the next ones are holes in it."""


def extent(name: str) -> np.ndarray:
    """Returns half the width and half the height of a shape at angle 0; the larger one is 1."""
    return SHAPES[name][0].max(0)


def coverage(name: str, center: np.ndarray, half: float, angle: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a shape.

    Args:
        name: A key of `SHAPES`.
        center: x and y of its middle in pixels.
        half: Half of its longer side in pixels.
        angle: Its angle in radians, clockwise on the screen.
        side: Height and width of the image in pixels.

    Returns:
        The covered share of each pixel, `(side, side)` float64 in [0, 1]. Then the tight box around the shape as ymin,
        xmin, ymax, xmax in pixels, in steps of a quarter pixel.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    drawn = Image.new("L", (side * _FINE, side * _FINE))
    pen = ImageDraw.Draw(drawn)
    for polygon, value in zip(SHAPES[name], (255, *(0 for _ in SHAPES[name])), strict=False):
        points = half * polygon @ np.array([[cos, sin], [-sin, cos]]) + center
        pen.polygon([(x, y) for x, y in (points * _FINE - 0.5).tolist()], fill=value)
    left, top, right, bottom = drawn.getbbox() or (0, 0, 0, 0)
    return np.asarray(drawn.reduce(_FINE)) / 255, np.array([top, left, bottom, right]) / _FINE


def distance(color: np.ndarray, ends: np.ndarray) -> float:
    """Returns the distance of a color from all mixtures of the two colors `ends` `(2, 3)`."""
    first, step = ends[0].astype(float), ends[1].astype(float) - ends[0]
    share = np.clip((color - first) @ step / max(step @ step, 1e-9), 0, 1)
    return float(np.linalg.norm(color - first - share * step))


def ground(random: np.random.Generator, ends: np.ndarray, side: int) -> np.ndarray:
    """Returns a texture `(side, side, 3)` float64 of mixtures of the two colors `ends` `(2, 3)`."""
    shares = np.zeros((side, side))
    for cells, weight in ((random.integers(2, 6), 0.65), (random.integers(8, 25), 0.35)):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells)).astype("uint8"))
        shares += weight * np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) / 255
    return ends[0] + shares[..., None] * (ends[1] - ends[0])


def paint(picture: np.ndarray, covered: np.ndarray, color: np.ndarray) -> None:
    """Paints a color on the covered share of each pixel of `picture`, in place."""
    picture += covered[..., None] * (color - picture)
