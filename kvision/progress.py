"""Shows progress as a bar on a terminal, and as one line every 10 seconds in a file or a pipe."""

import math
import os
import sys
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["INTERVAL", "Bar", "redraws"]

INTERVAL = 10.0  # seconds between two lines of a bar that is not redrawn


def redraws(stream: TextIO) -> bool:
    """Returns whether a stream can redraw a bar: a terminal, a notebook or PyCharm's window."""
    return stream.isatty() or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


class Bar(tqdm):
    """A `tqdm.tqdm` that writes lines to a file or a pipe: one line every 10 seconds, and one line at the end.

    `Bar` takes the arguments of `tqdm.tqdm`.
    """

    def __init__(self, *args: Any, **options: Any):
        stream = options.get("file") or sys.stderr
        self._lines = not redraws(stream)
        if self._lines:
            # The first line is written after the interval, and tqdm's own thread writes no lines.
            options |= {"mininterval": INTERVAL, "maxinterval": 0, "miniters": 0, "delay": INTERVAL, "ncols": 80}
        super().__init__(*args, **options)

    @staticmethod
    def status_printer(file: Any):
        """Returns the function that shows the bar. It redraws the last bar, or writes a new line."""
        if redraws(file):
            return tqdm.status_printer(file)

        def line(text: str) -> None:
            if text.strip():
                file.write(f"{text.rstrip()}\n")
                file.flush()

        return line

    def close(self) -> None:
        """Ends the bar."""
        if self._lines and not self.disable:
            if self.leave and self.n != self.last_print_n:
                self.display(pos=0)
            self.delay = math.inf  # tqdm clears the bar at the end, except while the delay lasts
        super().close()
