"""Prints names that a stream cannot encode, instead of failing at them."""

import io
import sys

__all__ = ["escape_names"]


def escape_names() -> None:
    r"""Lets standard output and standard error write escapes for what they cannot encode.

    A file name need not be UTF-8; Python then reads its bytes as surrogates, such as `\udce9`, which no encoding
    writes. A terminal need not be UTF-8 either. In JSON the escape of a surrogate is the same string again.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
