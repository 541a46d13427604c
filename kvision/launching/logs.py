"""Handles the output of a worker: writes all bytes to a file and shows lines."""

import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

__all__ = ["Log"]

_BAR = 5.0  # Seconds between two shown states of a progress bar.
_LONGEST = 65536  # Bytes of a line. A longer line is shown in parts.


class Log:
    """Writes the output of a worker to a file and shows it line by line.

    A line ends with a line feed. Text that ends with a carriage return is a state of a progress bar, and the next state
    overwrites it. At most one state in 5 seconds is shown. The last state is always shown. Text without an end is shown
    when the log is closed. All bytes are appended to the file. The file ends with a line feed.

    Args:
        path: The file.
        show: Function that shows a line. It gets the line without its end.
        clock: Function that returns the time in seconds.

    Raises:
        OSError: If the file cannot be written.
    """

    def __init__(self, path: Path, show: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic):
        self.path = path
        self.last: deque[str] = deque(maxlen=20)
        self._show, self._clock = show, clock
        self._file = path.open("ab", buffering=0)
        self._rest = b""  # Text after the end of the last line or state.
        self._bar: bytes | None = None  # The last state, or empty if it was shown. None outside of a bar.
        self._bar_shown = float("-inf")
        self._final = b""  # The last byte in the file.

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the output.

        Args:
            data: Any part of the output. It may end within a line or within a character.
        """
        self._keep(data)
        *parts, self._rest = re.split(rb"([\r\n])", self._rest + data)
        for text, end in zip(parts[::2], parts[1::2], strict=True):
            if end == b"\n":
                if text or self._bar != b"":  # Not at the end of a bar if its last state was shown.
                    self._emit(text or self._bar or b"")
                self._bar = None
            elif text:
                self._bar = text
                if self._clock() - self._bar_shown >= _BAR:
                    self._emit(text)
                    self._bar, self._bar_shown = b"", self._clock()
        if len(self._rest) > _LONGEST:
            self._emit(self._rest)
            self._rest = self._bar = b""

    def close(self) -> None:
        """Shows the remaining text and closes the file."""
        if left := self._rest or self._bar:
            self._emit(left)
        self._rest, self._bar = b"", None
        if self._final not in (b"", b"\n"):  # The output of the next attempt must start on a new line.
            self._keep(b"\n")
        self._file.close()

    def _emit(self, text: bytes) -> None:
        line = text.decode("utf-8", "replace")
        self.last.append(line)
        self._show(line)

    def _keep(self, data: bytes) -> None:
        if self._file.closed:
            return
        try:
            self._file.write(data)
            self._final = data[-1:] or self._final
        except OSError as reason:  # The disk may be full. The training continues without this file.
            self._file.close()
            self._show(f"({self.path} cannot be written, so it ends here: {reason.strerror})")
