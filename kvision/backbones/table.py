"""The README's table of backbones, written from the code: `python -m kvision.backbones.table [README.md]`."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import keras

from kvision import checks
from kvision.backbones.create import create
from kvision.backbones.pyramid import pyramid
from kvision.backbones.zoo import ZOO

__all__ = ["BEGIN", "END", "HEAD", "cheap", "main", "measured", "rows"]

BEGIN, END = "<!-- backbones: begin -->", "<!-- backbones: end -->"
HEAD = (
    '| name | parameters | size | smallest | width | strides | preprocessing | weights="imagenet" |',
    "|---|---|---|---|---|---|---|---|",
)


def cheap(name: str) -> dict[str, str]:
    """What a row says without building the network: {column: text}."""
    entry = ZOO[name]
    sizes = {"size": str(entry.image_size), "smallest": str(entry.smallest)}
    return sizes | {"preprocessing": entry.mode, "imagenet": entry.source}


def measured(name: str) -> dict[str, str]:
    """What a row says of the network: its shapes alone are built, so that no size of it is too large."""
    with keras.StatelessScope(initialize_variables=False):
        model = create(name, pooling="avg")
        counts = {"parameters": f"{model.count_params():,}", "width": str(model.output_shape[1])}
    return counts | {"strides": ", ".join(map(str, pyramid(model).strides))}


def rows() -> str:
    """The whole table in Markdown, the markers around it included."""
    lines = []
    for name in ZOO:
        row = cheap(name) | measured(name)
        columns = ("parameters", "size", "smallest", "width", "strides", "preprocessing", "imagenet")
        lines.append(f"| {name} | {' | '.join(row[column] for column in columns)} |")
    return "\n".join((BEGIN, *HEAD, *lines, END))


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table, or puts it between the marks of a file."""
    parser = argparse.ArgumentParser(prog="python -m kvision.backbones.table", description=__doc__)
    parser.add_argument("readme", nargs="?", help="file whose table is replaced; without it the table is printed")
    path = parser.parse_args(argv).readme
    if path is None:
        print(rows())
        return
    text = Path(path).read_text(encoding="utf-8")
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        raise checks.error("readme", expected=f"a file with {BEGIN} ... {END}", received=path)
    text = re.sub(f"{BEGIN}.*{END}", lambda _: rows(), text, flags=re.DOTALL)
    Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
