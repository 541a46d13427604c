"""Small pictures in color that need no download: tiles of the two photographs in scikit-learn."""

from pathlib import Path

from PIL import Image

from kvision import atomic

__all__ = ["photo_tiles"]

_SIDE = 96  # pixels
_TEST_COLUMNS = 1  # the right column of tiles of each photograph is for the test


def photo_tiles(folder: str | Path) -> Path:
    """Writes tiles of scikit-learn's photographs of a temple and of a flower.

    Args:
        folder: The folder to create. If it exists, nothing is written.

    Returns:
        The folder, with `train` and `test`. Tiles do not overlap, and the test tiles are the right column of each
        photograph.

    Example:
        >>> import tempfile
        >>> folder = kv.data.photo_tiles(tempfile.mkdtemp() + "/tiles")
        >>> len(list(folder.glob("train/*.png"))), len(list(folder.glob("test/*.png")))
        (40, 8)
    """
    from sklearn.datasets import load_sample_images

    folder = Path(folder)
    if folder.is_dir():
        return folder
    with atomic.folder(folder) as temporary:
        for name in ("train", "test"):
            (temporary / name).mkdir()
        for number, image in enumerate(load_sample_images().images):
            rows, columns = image.shape[0] // _SIDE, image.shape[1] // _SIDE
            for row in range(rows):
                for column in range(columns):
                    tile = image[row * _SIDE : (row + 1) * _SIDE, column * _SIDE : (column + 1) * _SIDE]
                    part = "test" if column >= columns - _TEST_COLUMNS else "train"
                    Image.fromarray(tile).save(temporary / part / f"{number}_{row}_{column}.png")
    return folder
