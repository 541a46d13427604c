import signal
import threading
from pathlib import Path

from processes import alone

from kvision.exit_codes import RUN_AGAIN
from kvision.training.preemption import Preempted, watch


def outside() -> list[str]:
    """What came to the handler that was there before the training's."""
    got: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: got.append("before"))
    return got


def noticed_and_the_handler_put_back():
    before = outside()
    try:
        with watch() as notice:
            assert not notice.is_set()
            signal.raise_signal(signal.SIGTERM)
            assert notice.is_set() and before == []
            raise Preempted(Path("here"))
    except Preempted:
        signal.raise_signal(signal.SIGTERM)
    assert before == ["before"], "acted on: it does not come twice"


def comes_again_where_nobody_acted():
    before = outside()
    with watch():
        signal.raise_signal(signal.SIGTERM)
    assert before == ["before"]


def another_error_goes_before():
    before = outside()
    try:
        with watch():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError("mine")
    except ValueError:
        pass
    assert before == []


def all_of_them():
    noticed_and_the_handler_put_back()
    comes_again_where_nobody_acted()
    another_error_goes_before()


def test_sigterm():
    alone(all_of_them)


def test_in_another_thread_nothing_is_noticed():
    seen = []

    def run():
        with watch() as notice:
            seen.append(notice.is_set())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]


def test_the_exit_says_run_me_again():
    stop = Preempted(Path("folder/x.npz"))
    assert isinstance(stop, SystemExit) and stop.code == RUN_AGAIN == 75
    assert str(stop) == "Ended by SIGTERM after folder/x.npz was written. Run the same command again to continue."
