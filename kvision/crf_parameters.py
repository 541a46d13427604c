"""The parameters of a dense CRF, which the layer, the full-range form and exported models share."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Self

from kvision import checks

__all__ = ["CRFParameters"]

_WEIGHTS = ("bilateral_weight", "spatial_weight")
_RANGES = ("bilateral_distance", "bilateral_color", "spatial_distance")
_MOST_ITERATIONS = 100


@dataclasses.dataclass(frozen=True)
class CRFParameters:
    """Parameters of a dense conditional random field (CRF) with the Potts model.

    Two pixels with different labels cost `bilateral_weight * k1 + spatial_weight * k2`. The bilateral kernel k1 is
    large for pixels with similar colors that are not too far apart. The spatial kernel k2 is large for near pixels of
    any color. The defaults are the values in the example of pydensecrf: 80 and 3 pixels in an image of 500 x 375
    pixels. Distances are shares of the image's diagonal, so that they fit images of every size.

    Attributes:
        bilateral_weight: Weight of the bilateral kernel, at least 0.
        bilateral_distance: Standard deviation of the bilateral kernel in space, as a share of the image's diagonal.
        bilateral_color: Standard deviation of the bilateral kernel in each color channel, in levels from 0 to 255.
        spatial_weight: Weight of the spatial kernel, at least 0.
        spatial_distance: Standard deviation of the spatial kernel, as a share of the image's diagonal.
        iterations: Number of mean-field updates, from 0 to 100.

    Raises:
        UserError: If a weight is negative, a distance or color is not positive, or the iterations are out of range.

    Example:
        >>> kv.segmentation.CRFParameters(bilateral_weight=4).pixels(300, 400)
        (64.0, 2.4)

    References:
        Krähenbühl and Koltun 2011, arXiv 1210.5644, equation 3.
    """

    bilateral_weight: float = 10.0
    bilateral_distance: float = 0.128
    bilateral_color: float = 13.0
    spatial_weight: float = 3.0
    spatial_distance: float = 0.0048
    iterations: int = 10

    def __post_init__(self):
        for name in _WEIGHTS:
            if not _is_number(value := getattr(self, name)) or value < 0:
                raise checks.UserError(name, expected="a number of at least 0", received=value)
        for name in _RANGES:
            if not _is_number(value := getattr(self, name)) or value <= 0:
                raise checks.UserError(name, expected="a positive number", received=value)
        if type(self.iterations) is not int or not 0 <= self.iterations <= _MOST_ITERATIONS:
            expected = f"a whole number from 0 to {_MOST_ITERATIONS}"
            raise checks.UserError("iterations", expected=expected, received=self.iterations)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Builds parameters from the values that `facts` returned.

        Args:
            facts: The values by name. Anyone may have written them.

        Returns:
            The parameters.

        Raises:
            ValueError: If a name is unknown or missing, or a value is invalid.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(facts, Mapping) or set(facts) != names:
            raise ValueError(f"the CRF parameters are not {', '.join(sorted(names))}")
        return cls(**facts)

    def facts(self) -> dict[str, float]:
        """Returns the values by name, ready for JSON."""
        return dataclasses.asdict(self)

    def pixels(self, height: int, width: int) -> tuple[float, float]:
        """Converts the two distances to pixels.

        Args:
            height: Height of the image in pixels.
            width: Width of the image in pixels.

        Returns:
            The bilateral and the spatial distance in pixels.
        """
        diagonal = math.hypot(height, width)
        return self.bilateral_distance * diagonal, self.spatial_distance * diagonal


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
