"""The examples of the documentation run, all in this one process."""

import doctest
import re
import runpy
import warnings
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PAGES = sorted(path for path in DOCS.glob("*.md") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    text = re.sub("^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)  # no part of an output
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    warnings.simplefilter("ignore", UserWarning)  # pages show what is warned of, such as a bad image
    said: list[str] = []
    assert not doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append).failed, "".join(said)


def test_the_task_of_the_page_works(tmp_path, monkeypatch, capsys):
    from kvision import tasks

    monkeypatch.setattr(tasks, "TASKS", dict(tasks.TASKS))
    monkeypatch.setattr("kvision.tasks.opened.TASKS", tasks.TASKS)
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    runpy.run_path(str(DOCS / "examples/rating_task.py"))
    assert re.search(r"\{'sharpness': 0\.\d+\}\n$", capsys.readouterr().out)


def test_pages_exist_and_say_where_they_lead():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert page.stem == "index" or re.search(f"^{page.stem}$", index, re.MULTILINE), f"{page.name}: add to index.md"
    for task in (
        "classify",
        "fine_tune",
        "fewshot",
        "small-data",
        "audit",
        "heads",
        "segment",
        "edges",
        "color",
        "locate",
        "convolutionalize",
        "pretrain",
        "tflite",
        "serve",
    ):
        text = (DOCS / f"{task}.md").read_text(encoding="utf-8")
        for part in ("What it is for", "The command", "The Python way", "Limits", "Source"):
            assert f"\n## {part}\n" in text, f"{task}.md: {part}"


def test_names_on_pages_exist():
    import kvision as kv

    missing = []
    for page in (*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"):
        for name in set(re.findall(r"\bkv((?:\.\w+)+)", page.read_text(encoding="utf-8"))):
            thing = kv
            for part in name[1:].split("."):
                thing = getattr(thing, part, None)
            missing += [f"{page.name}: kv{name}"] if thing is None else []
    assert not missing, "\n".join(missing)


def test_flags_on_pages_exist(capsys):
    from kvision import cli

    pages = (*DOCS.glob("*.md"), ROOT / "README.md")
    commands = [
        line.partition("#")[0].split("`")[0]
        for page in pages
        for line in re.findall(r"kvision [a-z][^\n`]*", page.read_text(encoding="utf-8"))
    ]
    helps: dict[str, str] = {}
    for command in commands:
        name, *rest = command.split()[1:]
        if name not in cli._modules():  # a sentence about kvision
            continue
        if "--" in rest:  # of `kvision launch`: the recipe's flags
            rest = rest[: rest.index("--")]
        if name not in helps:
            with pytest.raises(SystemExit):
                cli.main([name, "--help"])
            helps[name] = capsys.readouterr().out
        for flag in (word for word in rest if word.startswith("--") and word != "--help"):
            assert re.search(rf"{flag}\b", helps[name]), f"{command}: `kvision {name}` has no flag {flag}"
