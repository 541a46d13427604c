"""Predicts with outputs that a dense CRF refines."""

from collections.abc import Iterator, Sequence

from kvision import checks
from kvision.export.more_methods import Refinable
from kvision.export.task import Answer
from kvision.pixels import BadImage
from kvision.tasks.opened import Opened

__all__ = ["answers"]


def answers(opened: Opened, contents: Sequence[bytes], *, argument: str = "crf") -> Iterator[Answer | str]:
    """Predicts image files and refines the outputs by the colors of each image.

    Args:
        opened: The model. Its task must follow `kv.export.Refinable`.
        contents: The bytes of image files.
        argument: Name of the argument that asked for this, for errors.

    Yields:
        An answer for each file, or the reason why there is no answer.

    Raises:
        UserError: If the task cannot refine its outputs.
    """
    task = opened.task
    if not isinstance(task, Refinable):
        raise checks.UserError(
            argument,
            problem=f"is not supported by {task.name}",
            expected="a model with a label for each pixel",
            received=True,
            hint="Leave it out",
        )
    for content, outputs in zip(contents, opened.outputs(contents), strict=True):
        if isinstance(outputs, str):
            yield outputs
            continue
        try:
            refined = task.refine(outputs, content)
        except BadImage as reason:
            yield str(reason)
        else:
            yield opened.answer(refined, content)
