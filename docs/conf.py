"""Settings of the documentation; `docs/build` builds it."""

import importlib
import importlib.util
from pathlib import Path

import kvision

project = "kvision"
copyright = "the authors of kvision, Apache 2.0"
version = release = kvision.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "build"]
html_theme = "furo"
html_title = f"kvision {release}"
html_static_path: list[str] = []
templates_path: list[str] = []

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.strikethrough"]

default_role = "code"  # docstrings write `name`
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype, napoleon_use_ivar = False, True
autodoc_inherit_docstrings = False  # docstrings of Keras and scikit-learn belong to their own documentation
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # the signature and `Args:` contain the types
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"


def setup(app) -> None:
    """Registers the conversion of tables, before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", _tables, priority=100)
    app.connect("autodoc-skip-member", _of_scikit_learn)


def _of_scikit_learn(app, what, name: str, obj, skip: bool, options) -> bool | None:
    """Skips the methods that scikit-learn adds to estimators, such as `set_fit_request`."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def _tables(app, what, name, obj, options, lines: list[str]) -> None:
    """Turns the Markdown tables of a docstring, which are readable in a terminal, into reStructuredText tables."""
    made: list[str] = []
    for line in lines:
        text, indent = line.strip(), line[: len(line) - len(line.lstrip())]
        if not text.startswith("|") or not text.endswith("|"):
            made.append(line)
        elif set(text) - set("|- "):  # not a line of dashes
            if not made or not made[-1].strip().startswith(("* -", "- ")):
                made += ["", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
            for number, cell in enumerate(text.strip("|").split("|")):
                made.append(f"{indent}   {'* -' if number == 0 else '  -'} {cell.strip()}")
    lines[:] = made


def _reference_pages(folder: Path) -> None:
    """Writes a page for each public package, so that nobody has to write pages for new packages."""
    folder.mkdir(exist_ok=True)
    for name in kvision.__all__:
        if importlib.util.find_spec(f"kvision.{name}") is None:
            continue
        importlib.import_module(f"kvision.{name}")
        title = f"kv.{name}"
        options = {"members": "", "imported-members": ""}
        listed = "".join(f"   :{option}: {value}\n" for option, value in options.items())
        text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: kvision.{name}\n{listed}"
        page = folder / f"{name}.rst"
        if not page.is_file() or page.read_text(encoding="utf-8") != text:  # an unchanged page is not built again
            page.write_text(text, encoding="utf-8")


_reference_pages(Path(__file__).parent / "api")
