import os
import signal

import pytest
from processes import alone

from kvision.launching.signals import SignalWatch


def the_first_counts_and_interrupts_are_counted():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests may ignore it
    with SignalWatch() as watch:
        assert watch.first is None and watch.interrupts == 0
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert watch.first == signal.SIGTERM, "SIGHUP counts as SIGTERM"
        assert watch.interrupts == 2


def an_ignored_hangup_stays_ignored_and_handlers_come_back():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with SignalWatch() as watch:
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN != signal.getsignal(signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
    assert watch.first is None and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def ctrl_c_counts_even_where_a_shell_had_it_ignored():  # `kvision launch ... &` in a script
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with SignalWatch() as watch:
        os.kill(os.getpid(), signal.SIGINT)
    assert watch.first == signal.SIGINT and signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize(
    "case",
    [
        the_first_counts_and_interrupts_are_counted,
        an_ignored_hangup_stays_ignored_and_handlers_come_back,
        ctrl_c_counts_even_where_a_shell_had_it_ignored,
    ],
    ids=lambda case: case.__name__,
)
def test_signals(case):
    alone(case)
