"""Prints the table of backbones in Markdown: `python -m kvision.backbones.table`."""

import keras

from kvision.backbones.create import create
from kvision.backbones.pyramid import pyramid
from kvision.backbones.zoo import ZOO

__all__ = ["BEGIN", "END", "HEAD", "cheap", "measured", "rows"]

BEGIN, END = "<!-- backbones: begin -->", "<!-- backbones: end -->"
HEAD = (
    '| name | parameters | size | smallest | width | strides | preprocessing | weights="imagenet" |',
    "|---|---|---|---|---|---|---|---|",
)


def cheap(name: str) -> dict[str, str]:
    """Returns the columns of a backbone that need no model, as a dictionary from column name to text."""
    entry = ZOO[name]
    sizes = {"size": str(entry.image_size), "smallest": str(entry.smallest)}
    return sizes | {"preprocessing": entry.mode, "imagenet": entry.source}


def measured(name: str) -> dict[str, str]:
    """Returns the columns of a backbone that are measured on its model, as a dictionary from column name to text."""
    # Without initial values even the largest model takes little memory.
    with keras.StatelessScope(initialize_variables=False):
        model = create(name, pooling="avg")
        counts = {"parameters": f"{model.count_params():,}", "width": str(model.output_shape[1])}
    return counts | {"strides": ", ".join(map(str, pyramid(model).strides))}


def rows() -> str:
    """Returns the whole table, between the markers `BEGIN` and `END`."""
    lines = []
    for name in ZOO:
        row = cheap(name) | measured(name)
        columns = ("parameters", "size", "smallest", "width", "strides", "preprocessing", "imagenet")
        lines.append(f"| {name} | {' | '.join(row[column] for column in columns)} |")
    return "\n".join((BEGIN, *HEAD, *lines, END))


if __name__ == "__main__":
    print(rows())
