import os
import signal

from kvision.launching.signals import SignalWatch


def test_the_first_counts_and_interrupts_are_counted():
    with SignalWatch() as watch:
        assert watch.first is None and watch.interrupts == 0
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert watch.first == signal.SIGTERM, "SIGHUP counts as SIGTERM"
        assert watch.interrupts == 2


def test_an_ignored_hangup_stays_ignored_and_handlers_come_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalWatch() as watch:
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN != signal.getsignal(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
        assert watch.first is None and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_counts_even_where_a_shell_had_it_ignored():
    """`kvision launch ... &` in a script: `kill -INT` must reach it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with SignalWatch() as watch:
            os.kill(os.getpid(), signal.SIGINT)
        assert watch.first == signal.SIGINT and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
