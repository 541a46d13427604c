"""Checks and prints the report of a finished run."""

from pathlib import Path

from kvision.export import quantize
from kvision.runs import tflite_table

__all__ = ["KINDS", "is_complete", "tell"]

KINDS = {"results": dict, "best": str, "columns": list, "score": str, "exports": list, "pictures": list, "next": str}
"""The keys that a report needs to be printed, with the types of their values."""


def is_complete(report: dict, out: Path, tflite: tuple[str, ...]) -> bool:
    """Returns whether the last exported version still exists and has these TFLite models."""
    if not report["exports"]:
        return False
    extra = out / Path(report["exports"][-1]).name / "assets.extra"
    return all((extra / quantize.file_name(kind)).is_file() for kind in tflite)


def tell(report: dict, folder: Path) -> None:
    """Prints the table of results and the paths of all files.

    Args:
        report: The report's content.
        folder: The run's folder.
    """
    score, (first, last), deciding = report["score"], report["columns"], report.get("deciding", {})
    more = "".join(f"{heading:>12}" for heading in deciding)
    width = max(12, *(len(name) + 1 for name in report["results"]))
    print(f"\n{first:<{width}}{score.replace('_', ' '):>10}{'95 % interval':>18}{more}{'seconds':>10}   {last}")
    for name, row in report["results"].items():
        interval = "{:.3f} - {:.3f}".format(*row["interval"])
        more = "".join(f"{row[metric]:>12.4f}" for metric in deciding.values())
        mark = "  <- exported" if name == report["best"] else ""
        print(f"{name:<{width}}{row[score]:>10.4f}{interval:>18}{more}{row['seconds']:>10.1f}   {row['chosen']}{mark}")
    if report.get("rule"):
        print(report["rule"])
    if table := report.get("tflite"):
        print("", *tflite_table.lines(table, score), sep="\n")
    print(f"\nModel:    {report['exports'][-1]}")
    if report.get("keras"):
        print(f"Keras:    {report['keras']}")
    print(f"Report:   {folder / 'report.json'}")
    if listed := report.get("wrong_images"):
        print(f"Wrong:    {listed['file']} ({listed['count']} of {listed['of']} test images)")
    for picture in report["pictures"]:
        print(f"Picture:  {picture}")
    print(f"\nNext:\n  {report['next']}")
