"""Trains several self-supervised methods on the same data and compares them.

All methods use the same images, the same seed and the same training time. The evaluation is also
the same: nearest neighbors and a linear classifier on the features of the test images. The table
also has rows for the untrained encoder and for supervised training. After each row the table is
written to OUT/runs/NAME, as table.txt, table.json and table.png. Run the same command again to
continue: finished rows are kept.

Run:      kvision ssl-table --smoke                                     a few minutes
          kvision ssl-table --data FOLDER --minutes 15                  all methods, 15 minutes each
          kvision ssl-table --data FOLDER --methods simclr,supervised
"""

import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kvision import atomic, checks, choices, flags, runs, writable
from kvision.runs import limits
from kvision.runs.lock import alone
from kvision.runs.pretraining import Pretraining, encoder_of, evaluate, load, pretrain

__all__ = ["main"]

# Heading and format of each column of the table.
_COLUMNS = (
    ("method", "{method}"),
    ("encoder", "{encoder}"),
    ("parameters", "{parameters:,}"),
    ("KNN", "{knn:.3f}"),
    ("95 % interval", "{knn_interval[0]:.3f}-{knn_interval[1]:.3f}"),
    ("KNN (20)", "{knn_near:.3f}"),
    ("linear", "{linear:.3f}"),
    ("95 % interval", "{linear_interval[0]:.3f}-{linear_interval[1]:.3f}"),
    ("epochs", "{epochs}"),
    ("minutes", "{minutes:.1f}"),
    ("images/s", "{speed}"),
)


@dataclasses.dataclass(frozen=True)
class Config(Pretraining):
    """Settings of `kvision ssl-table`."""

    methods: tuple[str, ...] | None = runs.setting(
        None, f"any of {', '.join(choices.METHODS)} (default: all)", group="model", check=limits.among(choices.METHODS)
    )
    learning_rate: float | None = runs.setting(None, "not available here: each method has its own")

    def check_together(self) -> None:
        """Checks settings that depend on each other. A learning rate is an error, since the optimizers differ."""
        super().check_together()
        if self.learning_rate is not None:
            expected = "no value: each method has its own, since their optimizers differ"
            raise checks.UserError("--learning-rate", expected=expected, received=self.learning_rate)


_SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: The command line after `kvision ssl-table`.

    Returns:
        The exit status: 0, 1 if a row failed, or one of `kvision.exit_codes`.
    """
    parser = flags.Parser(prog="kvision ssl-table", description=__doc__ or "")
    runs.add_flags(parser, Config)
    output = parser.groups["output"]
    output.add_argument("--out", metavar="PATH", help="folder for the table and runs (default: saved_models/ssl-table)")
    output.add_argument("--smoke", action="store_true", help="a quick trial on little data, a few minutes")
    arguments = vars(parser.parse_args(argv))
    out = Path(arguments.pop("out") or Path("saved_models", "ssl-table"))
    config = dataclasses.replace(_SMOKE if arguments.pop("smoke") else Config(), **arguments)

    def work() -> int:
        config.check()
        writable.require(out, argument="--out")
        runs.start(config, exports=False)
        with runs.told_of_sigterm():  # after `start`, because the strategy sets its own handler of SIGTERM
            return _run(config, out, shlex.join(["kvision", "ssl-table", *argv]), parser)

    return runs.ended(parser, work, out=out)


def _run(config: Config, out: Path, command: str, parser: flags.Parser) -> int:
    from kvision import selfsup
    from kvision.distribute.strategy import worker_count

    if worker_count() > 1:
        expected = "one machine: auto, single or mirrored, outside of kvision launch"
        raise checks.UserError("--strategy", expected=expected, received="several")
    methods = config.methods or choices.METHODS
    cache = out / "cache"
    data = load(config, cache=cache)
    runs.bad_images.tell(data)
    # The methods do not change the folder, so that a call with new methods adds rows to the same table.
    folder = runs.run_folder(out, config, data, without=["methods"])
    records, failed = runs.Records(folder), []
    here = runs.device()
    about = {"data": data.name, "seed": config.seed, "device": here, "command": command}
    about |= {"notes": list(data.notes), "bad_images": [dataclasses.asdict(bad) for bad in data.bad_images]}

    def judge(name: str, encoder, record: dict) -> None:
        """Evaluates an encoder once, and records its row."""
        if records.done(f"row-{name}", knn=float, linear=float, alignment=float) is None:
            found = evaluate(encoder, data.train, data.test, config, cache=cache)
            facts = {"method": name, "device": here, "command": command}
            records.finish(f"row-{name}", facts | _row(found, encoder, record))

    for method in methods:
        print(f"{method} ...", flush=True)
        fits = (config.encoder or "").startswith("ViT") or not selfsup.preset(method, config.preset).vit
        # `encoder` and `width` are for the ResNet.
        own = config if fits else dataclasses.replace(config, encoder=None, width=None)
        if own.width != config.width:
            print(f"{method}: --width {config.width} is for the ResNet; its ViT keeps its own width", flush=True)
        try:
            images = data.train if method == "supervised" or data.unlabeled is None else data.unlabeled
            with alone(folder, method):  # Other processes may train different methods.
                encoder, record = pretrain(method, images, own, records, watch=(data.train, data.test))
                before = encoder_of(method, own)
                judge(f"untrained {before.name}", before, {})
                judge(method, encoder, record)
        except checks.UserError as problem:  # The remaining rows do not need this row.
            failed.append(method)
            print(f"kvision ssl-table: {method} failed: {parser.in_flags(problem)}", file=sys.stderr)
        rows = _rows(folder)
        about["device"] = "; ".join(dict.fromkeys(row.get("device", here) for row in rows.values())) or here
        atomic.write_text(folder / "table.json", json.dumps({**about, "rows": rows}, indent=1))
        atomic.write_text(folder / "table.txt", _text(rows))
        picture = _draw(rows, folder)
    print(_text(rows), *(f"{name + ':':<9} {about[name]}" for name in ("data", "seed", "device", "command")), sep="\n")
    print(f"Table:    {folder / 'table.txt'}", picture, sep="\n")
    if failed:
        print(f"kvision ssl-table: without {', '.join(failed)} (above)", file=sys.stderr)
    return int(bool(failed))


def _rows(folder: Path) -> dict[str, dict]:
    """Returns all recorded rows of these settings. Untrained encoders come first, then the methods in their order."""
    from kvision.selfsup import METHODS

    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("row-*.json")]
    order = {name: number for number, name in enumerate(METHODS, 1)}
    return {row["method"]: row for row in sorted(found, key=lambda row: (order.get(row["method"], 0), row["method"]))}


def _row(found, encoder, record: dict) -> dict:
    measured = ("knn", "knn_interval", "knn_near", "linear", "linear_interval", "learning_rate")
    measured += ("uniformity", "spread", "alignment")
    row = {name: getattr(found, name) for name in measured}
    row |= {"encoder": f"{encoder.name}, {encoder.output_shape[-1]} features", "parameters": encoder.count_params()}
    return row | {name: value for name, value in record.items() if name != "parameters"}


def _text(rows: dict[str, dict]) -> str:
    lines = [[heading for heading, _ in _COLUMNS]]
    for row in rows.values():
        speed = f"{row['images_per_second']:,.0f}" if "images_per_second" in row else "-"
        values = {"epochs": 0, "minutes": row.get("seconds", 0) / 60, "speed": speed, **row}
        lines.append([layout.format(**values) for _, layout in _COLUMNS])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _draw(rows: dict[str, dict], folder: Path) -> str:
    if all(name.startswith("untrained") for name in rows):
        return ""
    from types import SimpleNamespace

    from kvision import plots

    def table(axes):
        return plots.method_table(axes, {name: SimpleNamespace(**row) for name, row in rows.items()})

    drawn = runs.draw({"table.png": table}, folder, size=(8, 1 + 0.6 * len(rows)))
    return "".join(f"Picture:  {path}" for path in drawn)
