import numpy as np
import pytest

from kvision.export import litert
from kvision.features import engines, fastest

BATCH = np.zeros((4, 8, 8, 3), "uint8")
FEATURES = np.linspace(-3, 5, 12, dtype="float32").reshape(4, 3)


class Machine:
    """Engines that take as long as they are told, by a clock of their own."""

    def __init__(self, monkeypatch, seconds: dict[str, float], answers: dict | None = None):
        self.now, self.seconds, self.answers, self.calls, self.conversions = 0.0, seconds, answers or {}, [], 0
        monkeypatch.setattr(engines, "candidates", lambda: tuple(seconds))
        monkeypatch.setattr(engines, "start", self.start)
        monkeypatch.setattr(litert, "convert", self.convert)

    def convert(self, model, *, batch_size):
        self.conversions += 1
        return b"flatbuffer"

    def start(self, model, engine, *, batch_size, flatbuffer=None):
        assert batch_size == 4 and (engine == "keras" or flatbuffer == b"flatbuffer")

        def run(images):
            warming = engine not in self.calls
            self.calls.append(engine)
            self.now += self.seconds[engine] + 50 * warming  # tracing, allocation
            answer = self.answers.get(engine, FEATURES)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return run

    def choose(self, batches: float):
        return fastest.fastest(None, BATCH, batches, clock=lambda: self.now)


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({"keras": 0.40, "litert": 0.36, "openvino": 0.38}, "litert"),
        ({"keras": 2.0, "litert": 2.2, "openvino": 1.4}, "openvino"),
        ({"keras": 0.3, "litert": 0.4, "openvino": 0.5}, "keras"),
        ({"keras": 0.4, "litert": 0.3}, "litert"),
    ],
)
def test_the_fastest_engine_is_taken(monkeypatch, seconds, best):
    machine = Machine(monkeypatch, seconds)
    choice = machine.choose(1000)
    assert choice.engine == best and machine.conversions == 1
    assert choice.speeds == pytest.approx({name: 4 / each for name, each in seconds.items()})
    machine.calls.clear()
    choice.run(BATCH)
    assert machine.calls == [best], "it is the started engine that is returned"
    assert str(choice).startswith(f"engine {best} (keras {4 / seconds['keras']:.0f}, litert ")


@pytest.mark.parametrize(
    ("batches", "calls"),
    [(2, 0), (10, 0), (11, 2), (70, 2)],  # half a second each: what follows the probe is done in 30 s
)
def test_keras_runs_alone_where_the_others_do_not_pay(monkeypatch, batches, calls):
    machine = Machine(monkeypatch, {"keras": 0.5, "litert": 0.1})
    choice = machine.choose(batches)
    assert choice.engine == "keras" and choice.speeds == {} and machine.conversions == 0
    assert machine.calls == ["keras"] * calls


@pytest.mark.parametrize("batches", [71, float("inf")])
def test_the_others_are_timed_where_they_pay(monkeypatch, batches):
    assert Machine(monkeypatch, {"keras": 0.5, "litert": 0.1}).choose(batches).engine == "litert"


def test_a_slow_network_is_timed_once_and_a_fast_one_often(monkeypatch):
    slow = Machine(monkeypatch, {"keras": 5.0, "litert": 4.0})
    slow.choose(1000)
    assert slow.calls == ["keras", "keras", "litert", "keras", "litert"]
    fast = Machine(monkeypatch, {"keras": 0.05, "litert": 0.04})
    fast.choose(10_000)
    assert fast.calls[3:] == ["keras", "litert"] * 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (FEATURES + 6e-4, "differ from those of Keras by 6.0e-04"),
        (FEATURES * np.nan, "differ"),
        (RuntimeError("no such\noperation"), "no such operation"),
    ],
)
def test_an_engine_that_is_wrong_or_fails_is_left_out(monkeypatch, answer, reason):
    seconds = {"keras": 0.3, "litert": 0.2, "openvino": 0.1}
    choice = Machine(monkeypatch, seconds, {"openvino": answer}).choose(1000)
    assert choice.engine == "litert" and set(choice.speeds) == {"keras", "litert"}
    assert reason in choice.refused["openvino"] and reason in str(choice)
    close = Machine(monkeypatch, seconds, {"openvino": FEATURES + 4e-4}).choose(1000)
    assert close.engine == "openvino", "1e-4 of the largest feature, which is 5"


def test_a_network_that_cannot_be_converted_runs_by_keras(monkeypatch):
    machine = Machine(monkeypatch, {"keras": 0.3, "litert": 0.2, "openvino": 0.1})

    def convert(model, *, batch_size):
        raise ValueError("custom operation")

    monkeypatch.setattr(litert, "convert", convert)
    choice = machine.choose(1000)
    assert choice.engine == "keras" and choice.refused == dict.fromkeys(["litert", "openvino"], "custom operation")
