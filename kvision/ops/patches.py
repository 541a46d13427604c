"""Images as grids of square patches, and back."""

from keras import ops

from kvision import checks
from kvision.ops.interleave import interleave

__all__ = ["from_patches", "to_patches"]


def to_patches(images, patch_size: int):
    """images (B, H, W, C) -> (B, h, w, patch_size^2 * C), h = H / patch_size; values ordered (row, column, channel).

    The order of MAE's targets (He et al. 2021, the published code) and of TensorFlow's depth-to-space.
    Raises UserError if patches do not fill the image.
    """
    _, height, width, channels = images.shape
    if patch_size < 1 or height % patch_size or width % patch_size:
        raise checks.error("patch_size", expected=f"a divisor of {height} and {width} (pixels)", received=patch_size)
    h, w = height // patch_size, width // patch_size
    x = ops.reshape(images, (-1, h, patch_size, w, patch_size, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, h, w, patch_size * patch_size * channels))


def from_patches(patches, patch_size: int):
    """The images that `to_patches` cut: (B, h, w, patch_size^2 * C) -> (B, h * patch_size, w * patch_size, C).

    The pixel shuffle of Shi et al. 2016 (arXiv 1609.05158, eq. 4), with values ordered as `to_patches` says; h and w
    may be unknown. Raises UserError for values that patches of that size cannot hold.
    """
    channels, rest = divmod(patches.shape[-1], patch_size * patch_size)
    if rest:
        expected = f"a size whose square divides {patches.shape[-1]} values"
        raise checks.error("patch_size", expected=expected, received=patch_size)
    starts = [[(i * patch_size + j) * channels for j in range(patch_size)] for i in range(patch_size)]
    return interleave([[patches[..., start : start + channels] for start in row] for row in starts])
