"""Draws the names of classes, methods and files in any script."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drawn", "legend"]


def drawn(names: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Prepares names so that matplotlib draws them unchanged.

    `$` does not begin a formula. If matplotlib's font does not have a character, an installed font that has it is used.
    If no font has the character, it is escaped, because matplotlib would draw an empty box and warn.

    Args:
        names: The names.

    Returns:
        The texts to draw, and the properties of `matplotlib.text.Text` to draw them with.
    """
    fonts, missing = _fonts(frozenset("".join(map(str, names))))
    texts = ["".join(_escape(c) if c in missing else c for c in str(name)) for name in names]
    return texts, {"parse_math": False, "fontfamily": list(fonts)}


def legend(axes: "Axes", handles: Sequence, names: Sequence[str], **options) -> None:
    """Adds a legend with a name for each handle, even if a name begins with an underscore."""
    # matplotlib leaves out labels that begin with an underscore. So the labels are numbers first, and names replace
    # them.
    texts, properties = drawn(names)
    found = axes.legend(handles, [str(number) for number in range(len(texts))], **options)
    for text, name in zip(found.get_texts(), texts, strict=True):
        text.set_text(name)
        text.set(**properties)


@functools.lru_cache(64)
def _fonts(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Returns the fonts that have these characters, matplotlib's fonts first, and the characters that no font has."""
    from matplotlib import font_manager, get_data_path, rcParams

    families = list(rcParams["font.family"])
    paths = {font_manager.findfont(font_manager.FontProperties(family=[family])) for family in families}
    missing = {ord(c) for c in characters if c != "\n"}.difference(*map(_characters, paths))
    if missing:
        # The fonts inside matplotlib are left out. Some are for formulas and do not use Unicode tables, and some have
        # boxes for every character.
        known = [font for font in font_manager.fontManager.ttflist if not font.fname.startswith(get_data_path())]
        # Sorted, so that the same fonts give the same picture. Italic fonts come last.
        known.sort(key=lambda font: (font.style != "normal", font.name))
        for font in known:
            if missing and missing & (found := _characters(font.fname)) and font.name not in families:
                families.append(font.name)
                missing -= found
    return tuple(families), frozenset(map(chr, missing))


@functools.lru_cache(256)
def _characters(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # matplotlib lists the font, but the file cannot be read.
        return frozenset()


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()
