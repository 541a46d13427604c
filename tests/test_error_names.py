"""Every error names an argument that its caller wrote."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [p for p in (ROOT / "kvision").rglob("*.py") if "recipes" not in p.parts]
SOURCES += sorted((ROOT / "recipes").glob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
COMMANDS = ("commands", "launching")  # their callers write flags
RECIPES = ("runs", "recipes")  # theirs write the fields of a Config, and `runs.main` turns these into flags


def fields(tree: ast.AST) -> set[str]:
    """Names of the annotated fields of all classes."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {
        n.target.id for c in classes for n in c.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }


SETTINGS = {name for path, tree in TREES.items() if path.parent.name in RECIPES for name in fields(tree)}


def argument_names(call: ast.Call) -> list[str]:
    """The names that an error or a check is given as text; none where the caller handed the name in."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if not call.args:
        return []
    if function == "positive" and isinstance(call.args[0], ast.Dict):
        given = call.args[0].keys
    elif function == "one_of" or (function == "UserError" and any(word.arg == "expected" for word in call.keywords)):
        given = call.args[:1]
    else:
        return []
    texts = [node.values[0] if isinstance(node, ast.JoinedStr) else node for node in given]
    return [str(node.value) for node in texts if isinstance(node, ast.Constant)]


def raised(tree: ast.AST, callers: frozenset[str] = frozenset()):
    """Yields (line, name, what callers of the raising code write) of each error.

    A private function may name the parameters of the public functions of its file, which call it.
    """
    for node in ast.iter_child_nodes(tree):
        known = callers
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            if getattr(node, "name", "_").startswith("_") and isinstance(tree, ast.Module):
                public = (n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_"))
                known |= {a.arg for n in public for a in [*n.args.posonlyargs, *n.args.args, *n.args.kwonlyargs]}
            a = node.args
            every = [
                *a.posonlyargs,
                *a.args,
                *a.kwonlyargs,
                *([a.vararg] if a.vararg else []),
                *([a.kwarg] if a.kwarg else []),
            ]
            known |= {argument.arg for argument in every}
        if isinstance(node, ast.ClassDef):
            known |= fields(ast.Module([node], []))
            starts = (n for n in node.body if isinstance(n, ast.FunctionDef) and n.name in ("__init__", "__new__"))
            known |= {argument.arg for start in starts for argument in [*start.args.args, *start.args.kwonlyargs]}
        if isinstance(node, ast.Call):
            yield from ((node.lineno, name, known) for name in argument_names(node))
        yield from raised(node, frozenset(known))


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(ROOT)) for p in SOURCES])
def test_an_error_names_what_its_caller_wrote(path):
    room = path.relative_to(ROOT).parts[-2]
    wrong = []
    for line, text, known in raised(TREES[path]):
        for name in text.split(", "):
            word = name.split("[")[0].split(".")[0].strip("`")
            fine = word in known or (word.isupper() and "_" in word)  # an environment variable
            fine |= room in COMMANDS and (word.startswith("--") or word.isupper())
            fine |= room in RECIPES and word in SETTINGS
            if not fine:
                wrong.append(f"line {line}: {name}")
    assert not wrong, f"{path.relative_to(ROOT)}: name a parameter of the function that raises\n" + "\n".join(wrong)


def test_a_name_that_nobody_wrote_is_found():
    tree = ast.parse("def f(size):\n    raise UserError('widht', expected='more', received=size)")
    assert [(name, "widht" in known) for _, name, known in raised(tree)] == [("widht", False)]
