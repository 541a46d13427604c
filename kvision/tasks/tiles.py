"""Predicts large photographs tile by tile, for small objects."""

from collections.abc import Iterator, Sequence

from kvision import checks
from kvision.export.more_methods import Tiled
from kvision.export.task import Answer
from kvision.pixels import BadImage, pillow, tiles
from kvision.progress import Bar
from kvision.tasks.opened import Opened
from kvision.tasks.parts import png

__all__ = ["answers"]

_OVERLAP = 0.2  # share of a tile


def answers(opened: Opened, contents: Sequence[bytes], *, tile: int) -> Iterator[Answer | str]:
    """Cuts photographs into overlapping tiles, predicts each tile and merges the outputs.

    Args:
        opened: The model. Its task must follow `kv.export.Tiled`.
        contents: The bytes of image files.
        tile: Height and width of a tile in pixels. Neighboring tiles share a fifth of it. Objects must be smaller than
            this fifth, so that at least one tile has the whole object.

    Yields:
        An answer for each file, or the reason why there is no answer.

    Raises:
        UserError: If the task cannot merge tiles, or if `tile` is not positive.
    """
    checks.positive({"tile": tile})
    if not isinstance(opened.task, Tiled):
        raise checks.UserError(
            "tile",
            problem=f"is not supported by {opened.task.name}",
            expected="a model with answers that can be merged, such as boxes",
            received=tile,
            hint="Leave it out",
        )
    for content in contents:
        try:
            yield _answer(opened, opened.task, content, tile)
        except BadImage as reason:
            yield str(reason)


def _answer(opened: Opened, task: Tiled, content: bytes, tile: int) -> Answer | str:
    image = pillow.decode(content)
    size = image.shape[0], image.shape[1]
    places = tiles.places(size, tile, int(_OVERLAP * tile))
    files = [png(image[top:bottom, left:right]) for top, left, bottom, right in places]
    found = []
    for outputs in Bar(opened.outputs(files), "tiles", len(files), leave=False, disable=len(files) < 10):
        if isinstance(outputs, str):
            return outputs
        found.append(outputs)
    return opened.answer(task.merge(found, places, size), content)
