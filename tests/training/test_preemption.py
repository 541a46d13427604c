import signal
import threading
from pathlib import Path

import pytest

from kvision.exit_codes import RUN_AGAIN
from kvision.training.preemption import Preempted, watch


@pytest.fixture
def before():
    """Who gets the signal outside of a training."""
    got = []
    old = signal.signal(signal.SIGTERM, lambda *_: got.append("before"))
    yield got
    signal.signal(signal.SIGTERM, old)


def test_sigterm_is_noticed_and_the_handler_put_back(before):
    with pytest.raises(Preempted), watch() as notice:
        assert not notice.given()
        signal.raise_signal(signal.SIGTERM)
        assert notice.given() and before == []
        raise Preempted(Path("here"))
    signal.raise_signal(signal.SIGTERM)
    assert before == ["before"], "acted on: it does not come twice"


def test_a_signal_on_which_nobody_acted_comes_again(before):
    with watch():
        signal.raise_signal(signal.SIGTERM)
    assert before == ["before"]


def test_another_error_goes_before(before):
    with pytest.raises(ValueError, match="mine"), watch():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("mine")
    assert before == []


def test_in_another_thread_nothing_is_noticed(before):
    seen = []

    def run():
        with watch() as notice:
            seen.append(notice.given())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]


def test_the_exit_says_run_me_again():
    stop = Preempted(Path("folder/x.npz"))
    assert isinstance(stop, SystemExit) and stop.code == RUN_AGAIN == 75
    assert str(stop) == "Ended by SIGTERM after folder/x.npz was written. The same command goes on."
