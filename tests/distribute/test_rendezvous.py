import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kvision.distribute.rendezvous import missing


@pytest.fixture
def workers() -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return [f"127.0.0.1:{port}" for port in ports]


def port(worker: str) -> int:
    return int(worker.rpartition(":")[2])


def meet(workers, present, seconds) -> list[list[str]]:
    """`present`: (index, its delay) of each that comes."""

    def come(index, delay):
        time.sleep(delay)
        return missing(workers, index, seconds)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(come, *zip(*present, strict=True)))


def test_all_meet_in_any_order_and_the_port_is_free_for_tensorflow(workers):
    for delays in [(0, 0.3, 0.5), (0.4, 0, 0.2)]:
        began = time.monotonic()
        assert meet(workers, list(enumerate(delays)), 10) == [[], [], []]
        assert time.monotonic() - began < 3
        with socket.create_server(("127.0.0.1", port(workers[0]))):
            pass


def test_who_has_not_come_is_named(workers):
    assert meet(workers, [(0, 0), (2, 0)], 0.7) == [[workers[1]], [f"workers other than {workers[0]}"]]
    assert meet(workers, [(1, 0), (2, 0)], 0.5) == [[workers[0]]] * 2


def test_other_jobs_noise_and_those_that_left_do_not_count(workers):
    def disturb():
        for text in (b"0123456789abcdef 1\n", b"\xff\xff\n", b"", b"GET / HTTP/1.1\r\n" * 100):
            time.sleep(0.1)
            with socket.create_connection(("127.0.0.1", port(workers[0]))) as guest:
                guest.sendall(text)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(missing, workers, 0, 4)
        pool.submit(disturb).result()
        assert missing(workers, 1, 0.3) == [f"workers other than {workers[0]}"]  # gives up, and is gone
        assert missing(workers, 2, 0.3) == [f"workers other than {workers[0]}"]
        late = [pool.submit(missing, workers, index, 3) for index in (1, 2)]
        assert first.result() == [] and [each.result() for each in late] == [[], []]


def test_a_port_that_is_still_taken_is_waited_for(workers):
    taken = socket.create_server(("", port(workers[0])))
    with ThreadPoolExecutor() as pool:
        late = pool.submit(missing, workers[:2], 0, 5)
        time.sleep(0.3)
        taken.close()
        assert missing(workers[:2], 1, 5) == [] and late.result() == []
