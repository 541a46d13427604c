"""Public names are documented in Google style, and their examples run, all in this one process."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil

import numpy as np
import pytest

import kvision

PACKAGES = [name for name in kvision.__all__ if importlib.util.find_spec(f"kvision.{name}")]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public(package: str) -> dict[str, object]:
    module = importlib.import_module(f"kvision.{package}")
    return {name: getattr(module, name) for name in module.__all__}


def parameters(thing) -> list[str]:
    """Names of what a caller passes; of a class, to its constructor."""
    own = thing.__init__ if inspect.isclass(thing) else thing
    names = [
        p.name for p in inspect.signature(own).parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    return [name for name in names if name not in ("self", "_")]


def is_ours(thing) -> bool:
    return getattr(thing, "__module__", "").startswith("kvision")


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_say_what_they_take(package):
    missing = []
    for name, thing in public(package).items():
        if not (inspect.isclass(thing) or inspect.isfunction(thing)) or not is_ours(thing):
            continue
        text = inspect.getdoc(thing) or ""
        section = "Attributes:" if "Attributes:" in text else "Args:"
        takes = parameters(thing) if "__init__" in vars(thing) or not inspect.isclass(thing) else []
        described = text.split(f"{section}\n")[-1] if f"{section}\n" in text else ""
        missing += [
            f"{name}: `{given}` in {section}" for given in takes if f"{given}:" not in described.replace("*", "")
        ]
    assert not missing, f"kvision/{package}: describe\n" + "\n".join(missing)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_methods_are_documented(package):
    missing = []
    for name, thing in public(package).items():
        if not inspect.isclass(thing) or not is_ours(thing):
            continue
        for method, function in vars(thing).items():
            stated = any(hasattr(base, method) for base in thing.__mro__[1:] if not is_ours(base))
            if inspect.isfunction(function) and method[0] != "_" and not stated and not function.__doc__:
                missing.append(f"{name}.{method}")
    assert not missing, f"kvision/{package}: write docstrings for {missing}"


def examples() -> list[doctest.DocTest]:
    """The doctests of every public function, class and method, without those that two packages share."""
    found = {}
    for package in PACKAGES:
        for name, thing in public(package).items():
            if is_ours(thing) and (inspect.isclass(thing) or inspect.isfunction(thing)):
                space = {"kv": kvision, "np": np}
                for test in doctest.DocTestFinder(recurse=True).find(thing, f"kv.{package}.{name}", globs=space):
                    if test.examples:
                        found.setdefault((test.filename, test.lineno), test)
    return list(found.values())


def test_examples_run(tmp_path, monkeypatch):
    import keras

    monkeypatch.chdir(tmp_path)
    failed = []
    tests = examples()
    for test in tests:
        keras.utils.set_random_seed(0)
        test.globs["keras"] = keras
        said: list[str] = []
        if doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append).failed:
            failed.append("".join(said))
    assert not failed, "\n".join(failed)
    assert len(tests) >= 60, f"{len(tests)} examples: one for everything that users call first"


def test_every_package_says_what_it_is_for():
    for package in PACKAGES:
        text = importlib.import_module(f"kvision.{package}").__doc__
        assert text, f"kvision/{package}/__init__.py: begin with one sentence"
        assert list(pkgutil.iter_modules(importlib.import_module(f"kvision.{package}").__path__))
