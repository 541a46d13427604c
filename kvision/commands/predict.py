"""Classifies images, or labels their pixels, with an exported model.

MODEL is a `.tflite` file, the folder of an exported version, or the folder above it, whose newest version is taken.
A version's model.tflite answers, by LiteRT and without TensorFlow. An image that cannot be read is listed with the
reason, the others are answered, and the exit status is 1.

A model with a label for each pixel draws: NAME.overlay.png, the image under its labels' colors, and NAME.mask.png,
the labels themselves as numbers with a palette, into --out, and prints each class's share of the pixels.

--engine tensorflow loads the version's SavedModel instead. A SavedModel is code that can read and write your files:
load only those whose origin you know. A `.tflite` file holds no such code.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kvision import checks, choices, flags, writable

__all__ = ["main"]

_BATCH = 32


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status: 0, 1 if an image could not be read, 2 for a wrong call."""
    parser = flags.Parser(prog="kvision predict", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help=".tflite file or folder of an exported model")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="JPEG, PNG, GIF, BMP or WebP file")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes shown in the table (default: 3)")
    parser.add_argument("--json", action="store_true", help="a JSON list with every class's probability or share")
    parser.add_argument("--out", metavar="FOLDER", default=".", help="where pictures of labels go (default: here)")
    parser.add_argument(
        "--engine", default="tflite", metavar="NAME", help="tflite, or tensorflow, which loads code (default: tflite)"
    )
    arguments = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # oneDNN tells of each operation that it leaves to others
    try:
        if arguments.top < 1:
            raise checks.error("--top", expected="a count of at least 1", received=arguments.top)
        checks.one_of("--engine", arguments.engine, choices.ENGINES)
        from kvision.export.answer import open_model

        opened = open_model(Path(arguments.model), engine=arguments.engine)
        if opened.colors is not None:
            writable.require(arguments.out)
        rows = list(_rows(arguments.images, opened, Path(arguments.out)))
    except checks.UserError as problem:
        print(f"kvision predict: {problem}", file=sys.stderr)
        return 2
    plain = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")  # another encoding lacks characters of JSON
    print(json.dumps(rows, ensure_ascii=plain, indent=1) if arguments.json else _table(rows, arguments.top))
    return int(any("error" in row for row in rows))


def _rows(images: list[str], opened, out: Path) -> Iterator[dict]:
    from kvision.progress import Bar

    batch = _BATCH if opened.colors is None else 1
    taken: set[Path] = set()
    with Bar(total=len(images), unit=" images", disable=len(images) <= 2 * batch) as bar:
        for start in range(0, len(images), batch):
            names = images[start : start + batch]
            contents = [_read(name) for name in names]
            readable = iter(opened.answer([content for content in contents if isinstance(content, bytes)]))
            for name, content in zip(names, contents, strict=True):
                outcome = next(readable) if isinstance(content, bytes) else content
                if isinstance(outcome, str):
                    yield {"image": name, "error": outcome}
                elif opened.colors is None:
                    probabilities = {
                        label: float(p) for label, p in zip(opened.names(len(outcome)), outcome, strict=True)
                    }
                    best = max(probabilities, key=lambda label: probabilities[label])
                    yield {"image": name, "label": best, "probabilities": probabilities}
                else:
                    yield _drawn(name, content, outcome, opened, out, taken)
            bar.update(len(names))


def _drawn(name: str, content: bytes, labels, opened, out: Path, taken: set[Path]) -> dict:
    """Writes the pictures of one image's labels -> what is said of it."""
    import numpy as np
    from PIL import Image

    from kvision import atomic
    from kvision.pixels import BadImage, label_colors, pillow

    try:
        picture = pillow.decode(content)
    except BadImage as reason:  # the model's own decoder reads more of a damaged GIF
        return {"image": name, "error": str(reason)}
    classes = opened.names(len(opened.colors))
    if labels.max() >= len(classes):
        raise checks.error("MODEL", expected=f"labels of 0 to {len(classes) - 1}", received=int(labels.max()))
    stem = out / Path(name).stem
    while stem in taken:  # a.jpg and a.png, or one name in two folders
        stem = stem.with_name(f"{stem.name}_")
    taken.add(stem)
    files = {kind: stem.with_name(f"{stem.name}.{kind}.png") for kind in ("overlay", "mask")}
    try:
        with atomic.file(files["mask"]) as temporary:
            temporary.write_bytes(label_colors.to_png(labels, opened.colors))
        with atomic.file(files["overlay"]) as temporary:
            Image.fromarray(label_colors.overlay(picture, labels, opened.colors)).save(temporary, "PNG")
    except OSError as reason:
        raise checks.error(
            "--out",
            problem=f"cannot be written to: {reason.strerror or reason}",
            expected="a folder for pictures",
            received=str(out),
        ) from reason
    counts = np.bincount(labels.ravel(), minlength=len(classes))
    shares = {label: float(count / labels.size) for label, count in zip(classes, counts, strict=True)}
    return {"image": name, "shares": shares, **{kind: str(path) for kind, path in files.items()}}


def _read(name: str) -> bytes | str:
    from kvision.pixels import MAX_BYTES

    try:
        with Path(name).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)  # one too many is refused by its header
    except OSError as reason:
        return reason.strerror or str(reason)


def _table(rows: list[dict], top: int) -> str:
    width = max(len(row["image"]) for row in rows)
    lines = []
    for row in rows:
        if "error" in row:
            lines.append(f"{row['image']:<{width}}  cannot be used: {row['error']}")
            continue
        ranked = sorted(row.get("probabilities", row.get("shares")).items(), key=lambda item: -item[1])[:top]
        drawn = f"   -> {row['overlay']}" if "overlay" in row else ""
        lines.append(f"{row['image']:<{width}}  " + "   ".join(f"{label} {p:.3f}" for label, p in ranked) + drawn)
    return "\n".join(lines)
