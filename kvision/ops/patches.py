"""Cuts images into grids of square patches, and joins patches to images."""

from keras import ops

from kvision import checks
from kvision.ops.interleave import interleave

__all__ = ["from_patches", "to_patches"]


def to_patches(images, patch_size: int):
    """Cuts images into square patches.

    The values of a patch are in the order of row, column and channel, as in the targets of MAE and in TensorFlow's
    depth-to-space.

    Args:
        images: `(batch, height, width, channels)`.
        patch_size: Side of a patch in pixels. Height and width must be multiples of this number.

    Returns:
        `(batch, height / patch_size, width / patch_size, patch_size^2 * channels)`.

    Raises:
        UserError: If `patch_size` does not divide height and width.

    Example:
        >>> tuple(kv.ops.to_patches(np.zeros((2, 32, 48, 3)), 16).shape)
        (2, 2, 3, 768)

    References:
        He et al. 2021, arXiv 2111.06377, the published code.
    """
    _, height, width, channels = images.shape
    if patch_size < 1 or height % patch_size or width % patch_size:
        raise checks.UserError(
            "patch_size", expected=f"a divisor of {height} and {width} (pixels)", received=patch_size
        )
    h, w = height // patch_size, width // patch_size
    x = ops.reshape(images, (-1, h, patch_size, w, patch_size, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, h, w, patch_size * patch_size * channels))


def from_patches(patches, patch_size: int):
    """Joins patches to images. This is the inverse of `to_patches`, and is also called pixel shuffle.

    Args:
        patches: `(batch, h, w, patch_size^2 * channels)`, with the values of a patch in the same order as in
            `to_patches`. h and w may be unknown.
        patch_size: Side of a patch in pixels.

    Returns:
        `(batch, h * patch_size, w * patch_size, channels)`.

    Raises:
        UserError: If the number of values is not a multiple of `patch_size` squared.

    Example:
        >>> images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
        >>> bool(np.all(kv.ops.from_patches(kv.ops.to_patches(images, 4), 4) == images))
        True

    References:
        Shi et al. 2016, arXiv 1609.05158, equation 4.
    """
    channels, rest = divmod(patches.shape[-1], patch_size * patch_size)
    if rest:
        expected = f"a size whose square divides {patches.shape[-1]} values"
        raise checks.UserError("patch_size", expected=expected, received=patch_size)
    starts = [[(i * patch_size + j) * channels for j in range(patch_size)] for i in range(patch_size)]
    return interleave([[patches[..., start : start + channels] for start in row] for row in starts])
