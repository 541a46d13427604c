"""What every recipe of self-supervised learning keeps; a slow test of tests/commands/test_ssl_table.py trains all."""

from types import ModuleType

import numpy as np
import pytest

import kvision as kv
from kvision import runs


def recipe(module: ModuleType, tmp_path, monkeypatch, method: str, **changes) -> runs.Result:
    """A smoke run from Python: trains, judges the encoder beside the untrained one, and repeats nothing."""
    import dataclasses

    config = dataclasses.replace(module.SMOKE, **changes)
    data = module.load(config)
    records = runs.Records(tmp_path)
    judge, judged = runs.pretraining.evaluate, {}

    def once(encoder, *arguments, **options):  # the same encoder, when the finished run is asked again
        key = kv.export.checksum(encoder)
        judged[key] = judged.get(key) or judge(encoder, *arguments, **options)
        return judged[key]

    monkeypatch.setattr(runs.pretraining, "evaluate", once)
    result = module.run(data, config, records=records)
    assert set(result.metrics) == {"untrained", method} and result.best == method
    assert len(result.history["loss"]) == 2 and np.isfinite(result.history["loss"]).all()
    assert set(result.pictures) == {"embedding.png", "loss.png", "accuracy.png"}
    for row in result.metrics.values():
        assert 0.1 < row["accuracy"] <= 1 and 0.1 < row["knn"] <= 1, "above chance"
        assert row["interval"][0] <= row["accuracy"] <= row["interval"][1]
    images = next(iter(data.test))[0]
    probabilities = result.model.predict(images, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    hits = (kv.features.embed(result.model, data.test, progress=False).argmax(axis=1) == data.test.labels).mean()
    assert hits == np.float64(result.metrics[method]["accuracy"]), "what is exported is what was measured"
    record = tmp_path / f"{method}.json"
    before = record.read_bytes()
    again = module.run(data, config, records=records)
    assert len(judged) == 2, "untrained and trained"
    assert record.read_bytes() == before and again.metrics[method]["knn"] == result.metrics[method]["knn"]
    for ours, theirs in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return result


def asked(monkeypatch, module: ModuleType, config) -> str:
    """The method that a recipe trains with a setting."""

    class Asked(Exception):
        pass

    def pretrain(name, *_, **__):
        raise Asked(name)

    monkeypatch.setattr(runs.pretraining, "pretrain", pretrain)
    with pytest.raises(Asked) as found:
        module.run(runs.Split(None, None, (), (), "", ""), config)
    return found.value.args[0]
