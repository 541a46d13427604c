"""What signals ask of the launcher: noted here, acted upon where it is safe."""

import signal
from types import FrameType

__all__ = ["SignalWatch"]


class SignalWatch:
    """Notes SIGINT, SIGTERM and SIGHUP while it is open, in the main thread; then the handlers before it come back.

    SIGHUP (the terminal was closed) counts as SIGTERM; where it is ignored, as below `nohup`, it stays so.
    """

    def __init__(self):
        self.first: int | None = None
        """The signal that came first, SIGINT or SIGTERM; None before."""
        self.interrupts = 0
        """How often SIGINT came."""
        self._before = {}

    def __enter__(self) -> "SignalWatch":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.first is None:
            self.first = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        self.interrupts += number == signal.SIGINT
