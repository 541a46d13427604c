"""Classifies, labels pixels, finds objects or colors pictures with a model.

MODEL is a .tflite file, or the folder of an exported model. The newest version in it is used.
A bad image is listed with the reason, and the exit status is then 1. Segmentation writes pictures
into --out: NAME.overlay.png with colors over the image, and NAME.mask.png with the labels.
Detection writes NAME.boxes.png with the boxes, classes and scores of the objects. Colorization
writes NAME.picture.png, and NAME.before_after.png with both pictures side by side.

A detector makes large images smaller, so small objects may get lost. --tile N cuts such an image
into tiles of N x N pixels and merges the boxes. Neighboring tiles share a fifth of their side.
Choose N so that all objects are smaller than a fifth of N, because a larger object may be found in
parts.

--crf sharpens the boundaries of a segmentation by the colors of the image, with a dense CRF. It
uses the parameters that are stored in the model, or else defaults. It may remove small objects.

A .tflite file contains no code. With --engine tensorflow the command loads the SavedModel instead.
A SavedModel is code that can read and write your files. Load it only if you know where the model
comes from.

Run:      kvision predict saved_models/transfer photo.jpg
          kvision predict model.tflite photo.jpg --top 5
          kvision predict saved_models/segment photo.jpg --out pictures --json
          kvision predict saved_models/segment photo.jpg --crf
          kvision predict saved_models/rcnn aerial.jpg --tile 640
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kvision import atomic, checks, choices, flags, writable

if TYPE_CHECKING:
    from kvision.export import Answer
    from kvision.tasks.opened import Opened

__all__ = ["main"]

# The flag or argument of this command for each parameter of the library.
_FLAGS = {
    "engine": "--engine",
    "tile": "--tile",
    "crf": "--crf",
    **dict.fromkeys(("path", "size", "labels", "outputs"), "MODEL"),
}


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: The command line after `kvision predict`.

    Returns:
        The exit status: 0, 1 if there is a bad image, or 2 for invalid input.
    """
    usage = "%(prog)s MODEL IMAGE [IMAGE ...] [flags]"
    parser = flags.Parser(prog="kvision predict", description=__doc__ or "", usage=usage)
    parser.add_argument("model", metavar="MODEL", help=".tflite file, or folder of an exported model")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="JPEG, PNG, GIF, BMP or WebP file")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="number of classes to print (default: 3)")
    parser.add_argument("--json", action="store_true", help="print all values of the answers as JSON")
    parser.add_argument("--out", metavar="FOLDER", default=".", help="folder for pictures (default: the current one)")
    parser.add_argument("--tile", type=int, metavar="N", help="detection: cut images into tiles of N pixels")
    parser.add_argument("--crf", action="store_true", help="segmentation: sharpen boundaries with a dense CRF")
    parser.add_argument(
        "--engine",
        default="tflite",
        metavar="NAME",
        help="tflite, or tensorflow (runs code of the model) (default: tflite)",
    )
    arguments = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Otherwise oneDNN logs many lines.
    try:
        _check(arguments)
        from kvision.tasks.opened import open_model

        opened = open_model(Path(arguments.model), engine=arguments.engine)
        if opened.task.draws:
            writable.require(arguments.out, argument="--out")
        rows, lines = [], []
        width, taken = max(map(len, arguments.images)), set()
        answers = _answers(arguments.images, opened, arguments.tile, arguments.crf)
        for name, answer in zip(arguments.images, answers, strict=True):
            files = _write_pictures(name, answer, Path(arguments.out), taken)
            rows.append(_row(name, answer, files))
            lines.append(f"{name:<{width}}  {_words(answer, files, arguments.top)}")
    except checks.UserError as problem:
        print(f"kvision predict: {problem.renamed(_FLAGS.get(problem.argument, problem.argument))}", file=sys.stderr)
        return 2
    plain = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")  # Encodings other than UTF-8 lack characters.
    print(json.dumps(rows, ensure_ascii=plain, indent=1) if arguments.json else "\n".join(lines))
    return int(any("error" in row for row in rows))


def _check(arguments: argparse.Namespace) -> None:
    checks.positive({"--top": arguments.top, "--tile": arguments.tile})
    checks.one_of("--engine", arguments.engine, choices.ENGINES)
    if arguments.crf and arguments.tile is not None:
        raise checks.UserError("--crf", expected="no --tile beside it", received=f"--tile {arguments.tile}")


def _answers(images: list[str], opened: "Opened", tile: int | None, crf: bool) -> Iterator["Answer | str"]:
    """Yields the answer for each image, or the reason why the image has no answer."""
    from kvision.progress import Bar
    from kvision.tasks import refined, tiles

    def answers(contents: list[bytes]) -> Iterator["Answer | str"]:
        if crf:
            return refined.answers(opened, contents)
        return opened.answers(contents) if tile is None else tiles.answers(opened, contents, tile=tile)

    with Bar(total=len(images), unit=" images", disable=len(images) <= 2 * opened.batch_size) as bar:
        for start in range(0, len(images), opened.batch_size):
            contents = [_read(name) for name in images[start : start + opened.batch_size]]
            readable = [content for content in contents if isinstance(content, bytes)]
            found = answers(readable)
            for content in contents:
                yield next(found) if isinstance(content, bytes) else content
            bar.update(len(contents))


def _read(name: str) -> bytes | str:
    from kvision.pixels import MAX_BYTES

    try:
        with Path(name).open("rb") as stream:
            # If the file is too large, one byte over the limit lets the header check refuse it.
            return stream.read(MAX_BYTES + 1)
    except OSError as reason:
        return reason.strerror or str(reason)


def _write_pictures(image: str, answer: "Answer | str", out: Path, taken: set[Path]) -> dict[str, str]:
    """Writes the pictures of an answer under a name that is not in `taken`. Returns the path of each kind."""
    parts = () if isinstance(answer, str) else answer.parts
    pictures = {kind: content for part in parts for kind, content in part.pictures().items()}
    stem = out / Path(image).stem
    while pictures and stem in taken:  # for a.jpg and a.png, or for equal names in two folders
        stem = stem.with_name(f"{stem.name}_")
    taken.add(stem)
    files = {kind: stem.with_name(f"{stem.name}.{kind}.png") for kind in pictures}
    try:
        for kind, path in files.items():
            with atomic.file(path) as temporary:
                temporary.write_bytes(pictures[kind])
    except OSError as reason:
        raise checks.UserError(
            "--out",
            problem=f"cannot be written to: {reason.strerror or reason}",
            expected="a folder for pictures",
            received=str(out),
        ) from reason
    return {kind: str(path) for kind, path in files.items()}


def _row(image: str, answer: "Answer | str", files: dict[str, str]) -> dict:
    return {"image": image, **({"error": answer} if isinstance(answer, str) else {**answer.row, **files})}


def _words(answer: "Answer | str", files: dict[str, str], top: int) -> str:
    if isinstance(answer, str):
        return f"cannot be used: {answer}"
    words = [part.text(top) for part in answer.parts]
    words += [f"-> {next(iter(files.values()))}"] if files else []
    return "   ".join(word for word in words if word)
