"""Progress on a terminal as a bar, in a file or a pipe as a line from time to time."""

import math
import os
import sys
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["INTERVAL", "Bar", "redraws"]

INTERVAL = 10.0  # seconds between two lines of what is not redrawn


def redraws(stream: TextIO) -> bool:
    """Returns whether a stream shows a bar that is drawn again and again: a terminal, a notebook, PyCharm's window."""
    return stream.isatty() or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


class Bar(tqdm):
    """`tqdm.tqdm`, but a file or a pipe gets one line each 10 seconds, and one at the end where the bar would stay.

    Takes the arguments of `tqdm.tqdm`.
    """

    def __init__(self, *args: Any, **options: Any):
        stream = options.get("file") or sys.stderr
        self._lines = not redraws(stream)
        if self._lines:
            # the first line comes after the interval, and tqdm's own thread writes none
            options |= {"mininterval": INTERVAL, "maxinterval": 0, "miniters": 0, "delay": INTERVAL, "ncols": 80}
        super().__init__(*args, **options)

    @staticmethod
    def status_printer(file: Any):
        """Returns the function that shows a bar: over the last one, or as a line."""
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
            self.delay = math.inf  # tqdm's own end clears the bar, unless none was shown yet
        super().close()
