"""Answers images with an exported model: their class, or a class for each pixel.

MODEL is a `.tflite` file, the folder of an exported version, or the folder above it, whose newest version is taken.
A version's model.tflite answers, by LiteRT and without TensorFlow. An image that cannot be read is listed with the
reason, the others are answered, and the exit status is 1.

Answers that are pictures are written into --out. Segmentation writes NAME.overlay.png, the image under its labels'
colors, and NAME.mask.png, the labels as numbers with a palette, and prints each class's share of the pixels.

--engine tensorflow loads the version's SavedModel instead. A SavedModel is code that can read and write your files:
load only those whose origin you know. A `.tflite` file holds no such code.
"""

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


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status: 0, 1 if an image could not be read, 2 for a wrong call."""
    parser = flags.Parser(prog="kvision predict", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help=".tflite file or folder of an exported model")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="JPEG, PNG, GIF, BMP or WebP file")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes shown in the table (default: 3)")
    parser.add_argument("--json", action="store_true", help="print a JSON list with all values of each answer")
    parser.add_argument("--out", metavar="FOLDER", default=".", help="where pictures are written (default: here)")
    parser.add_argument(
        "--engine", default="tflite", metavar="NAME", help="tflite, or tensorflow, which loads code (default: tflite)"
    )
    arguments = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # oneDNN tells of each operation that it leaves to others
    try:
        if arguments.top < 1:
            raise checks.error("--top", expected="a count of at least 1", received=arguments.top)
        checks.one_of("--engine", arguments.engine, choices.ENGINES)
        from kvision.tasks.opened import open_model

        opened = open_model(Path(arguments.model), engine=arguments.engine)
        if opened.task.draws:
            writable.require(arguments.out)
        rows, lines = [], []
        width, taken = max(map(len, arguments.images)), set()
        for name, answer in zip(arguments.images, _answers(arguments.images, opened), strict=True):
            files = _write_pictures(name, answer, Path(arguments.out), taken)
            rows.append(_row(name, answer, files))
            lines.append(f"{name:<{width}}  {_words(answer, files, arguments.top)}")
    except checks.UserError as problem:
        print(f"kvision predict: {problem}", file=sys.stderr)
        return 2
    plain = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")  # another encoding lacks characters of JSON
    print(json.dumps(rows, ensure_ascii=plain, indent=1) if arguments.json else "\n".join(lines))
    return int(any("error" in row for row in rows))


def _answers(images: list[str], opened: "Opened") -> Iterator["Answer | str"]:
    """Yields an answer for each image, or the reason why there is none."""
    from kvision.progress import Bar

    with Bar(total=len(images), unit=" images", disable=len(images) <= 2 * opened.batch_size) as bar:
        for start in range(0, len(images), opened.batch_size):
            contents = [_read(name) for name in images[start : start + opened.batch_size]]
            readable = opened.answers([content for content in contents if isinstance(content, bytes)])
            for content in contents:
                yield next(readable) if isinstance(content, bytes) else content
            bar.update(len(contents))


def _read(name: str) -> bytes | str:
    from kvision.pixels import MAX_BYTES

    try:
        with Path(name).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)  # one too many is refused by its header
    except OSError as reason:
        return reason.strerror or str(reason)


def _write_pictures(image: str, answer: "Answer | str", out: Path, taken: set[Path]) -> dict[str, str]:
    """Writes the pictures of an answer, under a name that is not in `taken`; returns the file of each kind."""
    parts = () if isinstance(answer, str) else answer.parts
    pictures = {kind: content for part in parts for kind, content in part.pictures().items()}
    stem = out / Path(image).stem
    while pictures and stem in taken:  # a.jpg and a.png, or one name in two folders
        stem = stem.with_name(f"{stem.name}_")
    taken.add(stem)
    files = {kind: stem.with_name(f"{stem.name}.{kind}.png") for kind in pictures}
    try:
        for kind, path in files.items():
            with atomic.file(path) as temporary:
                temporary.write_bytes(pictures[kind])
    except OSError as reason:
        raise checks.error(
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
