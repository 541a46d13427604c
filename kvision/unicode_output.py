"""Prints escapes for characters that a stream cannot encode, instead of failing."""

import io
import sys

__all__ = ["escape_names"]


def escape_names() -> None:
    r"""Makes standard output and standard error write escapes for characters that they cannot encode.

    A file name is not always UTF-8. If it is not, Python reads its bytes as surrogates, such as `\udce9`, and no
    encoding can write a surrogate. A terminal is not always UTF-8 either. A JSON reader turns the escape of a surrogate
    back into the same string.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
