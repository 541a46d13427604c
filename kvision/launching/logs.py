"""A worker's output: every byte into its file, and line by line to whoever shows it."""

import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

__all__ = ["Log"]

_IDLE = 1.0  # seconds without output after which an unfinished line is shown
_BAR = 5.0  # seconds between two states of a progress bar
_LONGEST = 65536  # bytes of one line; what is longer is cut


class Log:
    """Cuts output into lines for `show`.

    A line ends with a line feed. What ends with a carriage return is a progress bar that will be overwritten: it is
    shown every 5 seconds at most, its last state always. An unfinished line is shown after a second without output,
    and at the end. The file keeps all, unchanged, behind what it holds already; a line feed ends it in any case.
    """

    def __init__(self, path: Path, show: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic):
        """show: takes one line without its end. clock: seconds. Raises OSError if the file cannot be written."""
        self.path = path
        self.last: deque[str] = deque(maxlen=20)
        self._show, self._clock = show, clock
        self._file = path.open("ab", buffering=0)
        self._rest = b""  # not ended yet
        self._bar: bytes | None = None  # ended by a carriage return, not shown yet
        self._final = b""  # the last byte in the file
        self._shown = False  # what the current line holds was shown already
        self._in_bar = False
        self._heard, self._bar_shown = clock(), float("-inf")

    def feed(self, data: bytes) -> None:
        """Takes the next bytes, cut anywhere."""
        self._keep(data)
        self._heard = self._clock()
        *parts, self._rest = re.split(rb"([\r\n])", self._rest + data)
        for text, end in zip(parts[::2], parts[1::2], strict=True):
            if end == b"\n":
                self._line(text)
            else:
                self._overwritten(text)
        if len(self._rest) > _LONGEST:
            self._emit(self._rest)
            self._rest = b""

    def tick(self) -> None:
        """Shows what has waited long enough; to be called several times a second."""
        now = self._clock()
        bar_is_due = now - self._bar_shown >= _BAR
        if self._bar is not None and bar_is_due:
            self._emit(self._bar, bar=True)
        elif self._rest and now - self._heard >= _IDLE and (bar_is_due or not self._in_bar):
            text, self._rest = self._rest, b""
            self._emit(text, bar=self._in_bar)

    def close(self) -> None:
        """Shows what is left, and closes the file."""
        left = self._rest or self._bar
        if left:
            self._emit(left)
        self._rest, self._bar = b"", None
        if self._final not in (b"", b"\n"):  # the next attempt's first line is a line
            self._keep(b"\n")
        self._file.close()

    def _line(self, text: bytes) -> None:
        if not text and self._bar is not None:  # CR LF, or a bar's last state
            text = self._bar
        if text or not self._shown:
            self._emit(text)
        self._shown = self._in_bar = False

    def _overwritten(self, text: bytes) -> None:
        self._in_bar = True
        if text:
            self._bar = text
            self._shown = False
            if self._clock() - self._bar_shown >= _BAR:
                self._emit(text, bar=True)

    def _emit(self, text: bytes, *, bar: bool = False) -> None:
        self._bar, self._shown = None, True
        if bar:
            self._bar_shown = self._clock()
        line = text.decode("utf-8", "replace")
        self.last.append(line)
        self._show(line)

    def _keep(self, data: bytes) -> None:
        if self._file.closed:
            return
        try:
            self._file.write(data)
            self._final = data[-1:] or self._final
        except OSError as reason:  # a full disk: the job goes on without this file
            self._file.close()
            self._show(f"({self.path} is not written any more: {reason.strerror})")
