"""Records signals to the launcher, so that the launcher can handle them at a safe time."""

import signal
from types import FrameType

__all__ = ["SignalWatch"]


class SignalWatch:
    """Context that records SIGINT, SIGTERM and SIGHUP instead of handling them. Use it in the main thread.

    SIGHUP (the terminal was closed) counts as SIGTERM. If SIGHUP is already ignored, as under `nohup`, it stays
    ignored. The previous handlers are restored at the end.

    Attributes:
        first: The first signal, SIGINT or SIGTERM. None if there was no signal.
        interrupts: Number of SIGINT signals.
    """

    def __init__(self):
        self.first: int | None = None
        self.interrupts = 0
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
