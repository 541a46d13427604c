"""The shape of the house, checked: each failure says what to do."""

import ast
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

import kvision
from kvision import commands, recipes

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    p for p in (ROOT / "kvision").rglob("*.py") if "recipes" not in p.parts and "__pycache__" not in p.parts
)
SOURCES = [*MODULES, *sorted((ROOT / "recipes").glob("*.py"))]
NAMES = [str(path.relative_to(ROOT)) for path in SOURCES]
# rows that run on every backend: TensorFlow stays out of them. `distribute`, which training imports on every backend,
# and data, export, features, tasks and pixels import it inside functions
NEUTRAL = (
    *(
        "ops",
        "layers",
        "losses",
        "metrics",
        "training",
        "backbones",
        "heads",
        "schedules",
        "decoders",
        "augment",
    ),
    *("transfer", "selfsup", "segmentation", "colorization", "detection"),
)
OF_TENSORFLOW = (
    Path("kvision/layers/resize_like.py"),
    Path("kvision/ops/fused.py"),
    Path("kvision/ops/suppression.py"),
)  # what Keras has not, or slowly


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST) -> set[str]:
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            found |= {alias.name.split(".")[0] for alias in inner.names}
        elif isinstance(inner, ast.ImportFrom) and inner.module:
            found.add(inner.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_module_has_docstring_a_sane_length_and_a_mirror_test(path):
    module = tree(path)
    assert ast.get_docstring(module), f"{path.name}: begin with a docstring that says the one idea of the file"
    assert len(path.read_text().splitlines()) <= 400, f"{path.name}: over 400 lines, part it"
    does = any(isinstance(node, ast.FunctionDef) for node in ast.walk(module))
    if path.name.startswith("__") or not does:
        return
    relative = path.relative_to(ROOT / "kvision") if path.is_relative_to(ROOT / "kvision") else path.relative_to(ROOT)
    mirror = ROOT / "tests" / relative.with_name(f"test_{relative.name}")
    assert mirror.is_file(), f"write {mirror.relative_to(ROOT)} for {path.relative_to(ROOT)}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_no_pickle_no_second_training_loop_no_tensorflow_where_backends_are_neutral(path):
    module, relative = tree(path), path.relative_to(ROOT)
    if relative != Path("kvision/backbones/torch_file.py"):
        bad = imports(module) & {"pickle", "joblib", "skops", "dill", "cloudpickle", "marshal", "shelve"}
        assert not bad, f"{relative}: arrays and JSON instead of {bad}"
    if relative.parts[1] != "training":
        names = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(module)}
        assert "GradientTape" not in names, f"{relative}: training loops belong to kvision/training"
    if len(relative.parts) > 2 and relative.parts[1] in NEUTRAL and relative not in OF_TENSORFLOW:
        tensorflow = imports(module) & {"tensorflow", "ai_edge_litert"}
        assert not tensorflow, f"{relative}: keras.ops instead of TensorFlow"
    top = {name for node in module.body if isinstance(node, ast.Import | ast.ImportFrom) for name in imports(node)}
    assert "tensorflow" not in top, f"{relative}: import TensorFlow inside the functions that use it"


@pytest.mark.parametrize("name", [n for n in kvision.__all__ if importlib.util.find_spec(f"kvision.{n}")])
def test_everything_public_exists_and_is_documented(name):
    package = importlib.import_module(f"kvision.{name}")
    for info in ["", *(i.name for i in pkgutil.iter_modules(package.__path__))]:
        module = importlib.import_module(f"kvision.{name}.{info}".rstrip("."))
        for public in module.__all__:
            thing = getattr(module, public)
            if callable(thing):
                assert thing.__doc__, f"{module.__name__}.{public} has no docstring"


@pytest.mark.parametrize("name", [info.name for info in pkgutil.iter_modules(recipes.__path__)])
def test_recipe_contract(name):
    recipe = importlib.import_module(f"kvision.recipes.{name}")
    for part in ("Config", "SMOKE", "load", "run"):
        assert hasattr(recipe, part), f"recipes/{name}.py: {part} is missing"
    assert isinstance(recipe.SMOKE, recipe.Config)
    text = recipe.__doc__ or ""
    assert "Run:" in text and "Expect:" in text, f"recipes/{name}.py: say how to run it and what to expect"
    expected = text.split("Expect:")[1]
    assert re.search(r"\.\d\d", expected) and "seed" in expected and "core" in expected, (
        "a measured number, and on what"
    )
    assert (ROOT / "recipes" / f"{name}.py").read_text().rstrip().endswith("runs.main(sys.modules[__name__]))")


def test_commands_have_a_main():
    for info in pkgutil.iter_modules(commands.__path__):
        assert callable(importlib.import_module(f"kvision.commands.{info.name}").main)


def test_no_drawer_for_leftovers():
    drawers = {"utils", "helpers", "misc", "common", "base"}
    assert not [p for p in SOURCES if drawers & {*p.parts, p.stem}], "name the idea of the file"


def test_recipes_is_a_link_so_that_linters_see_one_tree():
    link = ROOT / "kvision" / "recipes"
    assert link.resolve() == ROOT / "recipes"


def test_the_documented_table_of_methods_is_complete():
    from kvision import selfsup, training

    text = (ROOT / "docs/pretrain.md").read_text(encoding="utf-8").split("| `kv.selfsup` |")[1].split("\n\n")[0]
    rows = [line.split("|") for line in text.splitlines()[2:]]
    methods = {name for name in selfsup.__all__ if isinstance(getattr(selfsup, name), type)}
    methods = {name for name in methods if issubclass(getattr(selfsup, name), training.Objective)}
    assert {row[1].strip(" `") for row in rows} == methods, "docs/pretrain.md: write one row for each method"
    presets = {name.strip(" `") for row in rows for name in row[3].split(",")}
    assert presets == set(selfsup.METHODS)
    for name in methods:
        text = getattr(selfsup, name).__doc__
        assert "arXiv" in text or "et al." in text, f"{name}: cite the source"


def code_lines(path: Path) -> set[int]:
    """Numbers of the lines that are neither blank nor comments nor docstrings."""
    text = set()
    for node in ast.walk(tree(path)):
        body = getattr(node, "body", None)
        for inner in body if isinstance(body, list) else ():
            if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
                text |= set(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return {number for number, line in lines if line.strip() and not line.strip().startswith("#")} - text


def test_no_six_equal_lines_in_two_recipes():
    seen: dict[tuple[str, ...], str] = {}
    for path in sorted((ROOT / "recipes").glob("*.py")):
        numbers, lines = code_lines(path), path.read_text(encoding="utf-8").splitlines()
        code = [line.strip() for number, line in enumerate(lines, 1) if number in numbers and "import" not in line]
        for window in zip(*(code[start:] for start in range(6)), strict=False):
            other = seen.setdefault(window, path.name)
            assert other == path.name, f"{path.name}, {other}: share these lines\n" + "\n".join(window)


LONG = {"fit": "the public call that names every option of a training"}  # functions over 60 lines, with the reason


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_no_function_is_longer_than_60_lines(path):
    numbers = code_lines(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name not in LONG:
            count = len(numbers & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            assert count <= 60, f"{path.name}: {node.name} has {count} lines, part it"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_no_function_takes_more_than_8_arguments(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name not in ("__init__", *LONG):
            taken = [a for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg != "self"]
            assert len(taken) <= 8, f"{path.name}: {node.name} takes {len(taken)} arguments, gather some in a dataclass"
