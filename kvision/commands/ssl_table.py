"""Pre-trains one encoder by each self-supervised method, on the same data and budget, and compares what it is worth.

Every row has one set of images, seed, encoder (MAE, SimMIM: the preset's ViT, unless --encoder is one), evaluation and,
with --minutes, time of training steps. Judged by 200 neighbors (and by 20) and by a linear classifier, with labels, on
held-out images, beside the untrained encoder and one that was trained with the labels (with --unlabeled: with those of
--data). Written to OUT/runs/<hash>/ after each row: table.txt, table.json, table.png. The same command goes on where it
was ended, and a finished row is not trained again; nor is it with other --methods.
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

_COLUMNS = (
    "method",
    "encoder",
    "parameters",
    "KNN",
    "95 % interval",
    "k = 20",
    "linear",
    "95 % interval",
    "epochs",
    "minutes",
    "images/s",
)


@dataclasses.dataclass(frozen=True)
class Config(Pretraining):
    methods: tuple[str, ...] | None = runs.setting(
        None, "rows; default: all of kv.selfsup.METHODS", check=limits.among(choices.METHODS)
    )

    def check_together(self) -> None:
        """Refuses one rate for all methods, which train by different optimizers."""
        super().check_together()
        if self.learning_rate is not None:
            raise checks.error(
                "--learning-rate", expected="each method's own: their optimizers differ", received=self.learning_rate
            )


_SMOKE = Config(preset="smoke", train_per_class=12, test_per_class=10)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status: 0, 1: a row failed, 2: a wrong call, 75: the same goes on."""
    parser = flags.Parser(prog="kvision ssl-table", description=__doc__)
    runs.add_flags(parser, Config)
    parser.add_argument("--out", metavar="FOLDER", help="where rows are kept (default: saved_models/ssl-table)")
    parser.add_argument("--smoke", action="store_true", help="a few minutes on little data, to see that all works")
    arguments = vars(parser.parse_args(argv))
    out = Path(arguments.pop("out") or Path("saved_models", "ssl-table"))
    config = dataclasses.replace(_SMOKE if arguments.pop("smoke") else Config(), **arguments)

    def work() -> int:
        config.check()
        writable.require(out)
        runs.start(config, exports=False)
        with runs.told_of_sigterm():  # after the strategy, which takes the signal for itself
            return _run(config, out, shlex.join(["kvision", "ssl-table", *argv]))

    return runs.ended("ssl-table", work, out=out)


def _run(config: Config, out: Path, command: str) -> int:
    from kvision import distribute, selfsup

    if distribute.worker_count() > 1:
        expected = "one machine: auto, single or mirrored, outside of kvision launch"
        raise checks.error("--strategy", expected=expected, received="several")
    methods = config.methods or choices.METHODS
    cache = out / "cache"
    data = load(config, cache=cache)
    runs.bad_images.tell(data)
    folder = runs.run_folder(out, config, data, without=["methods"])  # another method later finds the others finished
    records, failed = runs.Records(folder), []
    here = runs.device()
    about = {"data": data.name, "seed": config.seed, "device": here, "command": command}
    about |= {"notes": list(data.notes), "bad_images": [dataclasses.asdict(bad) for bad in data.bad_images]}

    def judge(name: str, encoder, record: dict) -> None:
        """Once; kept as the record of a stage."""
        if records.done(f"row-{name}", knn=float, linear=float, alignment=float) is None:
            found = evaluate(encoder, data.train, data.test, config, cache=cache)
            facts = {"method": name, "device": here, "command": command}
            records.finish(f"row-{name}", facts | _row(found, encoder, record))

    for method in methods:
        print(f"{method} ...", flush=True)
        fits = (config.encoder or "").startswith("ViT") or not selfsup.preset(method, config.preset).vit
        own = config if fits else dataclasses.replace(config, encoder=None, width=None)  # of the ResNet, both
        if own.width != config.width:
            print(f"{method}: its ViT has its own width; --width {config.width} is the ResNet's", flush=True)
        try:
            images = data.train if method == "supervised" or data.unlabeled is None else data.unlabeled
            with alone(folder, method):  # others may work on other methods
                encoder, record = pretrain(method, images, own, records, watch=(data.train, data.test))
                before = encoder_of(method, own)
                judge(f"untrained {before.name}", before, {})
                judge(method, encoder, record)
        except checks.UserError as problem:  # the other rows are worth having
            failed.append(method)
            print(f"kvision ssl-table: {method} failed: {problem}", file=sys.stderr)
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
    """All that were judged with these settings, now or earlier: untrained ones first, then in the order of methods."""
    from kvision.selfsup import METHODS

    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("row-*.json")]
    order = {name: number for number, name in enumerate(METHODS, 1)}
    return {row["method"]: row for row in sorted(found, key=lambda row: (order.get(row["method"], 0), row["method"]))}


def _described(encoder) -> str:
    return f"{encoder.name}, {encoder.output_shape[-1]} features"


def _row(found, encoder, record: dict) -> dict:
    measured = ("knn", "knn_interval", "knn_near", "linear", "linear_interval", "rate")
    measured += ("uniformity", "spread", "alignment")
    row = {name: getattr(found, name) for name in measured}
    row |= {"encoder": _described(encoder), "parameters": encoder.count_params()}
    return row | {name: value for name, value in record.items() if name != "parameters"}


def _text(rows: dict[str, dict]) -> str:
    lines = [_COLUMNS]
    for name, row in rows.items():
        knn, linear = ("{:.3f}-{:.3f}".format(*row[f"{each}_interval"]) for each in ("knn", "linear"))
        lines.append(
            (
                name,
                row["encoder"],
                f"{row['parameters']:,}",
                f"{row['knn']:.3f}",
                knn,
                f"{row['knn_near']:.3f}",
                f"{row['linear']:.3f}",
                linear,
                str(row.get("epochs", 0)),
                f"{row.get('seconds', 0) / 60:.1f}",
                f"{row['images_per_second']:,.0f}" if "images_per_second" in row else "-",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
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
