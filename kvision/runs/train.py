"""Starts or resumes one training of a run and records it, or loads the weights if the training is finished."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kvision import atomic
from kvision.runs.records import Records

if TYPE_CHECKING:
    import keras

    from kvision.training import Resume

__all__ = ["trained"]


def trained(
    records: Records,
    name: str,
    model: "keras.Model",
    *,
    fit: "Callable[[Resume | None], tuple[keras.Model, dict]]",
    measure: Callable[[], dict],
    kinds: Mapping[str, type],
    strategy: str = "auto",
) -> dict:
    """Trains a model, or loads its weights if the training is finished.

    `fit` trains a network in the strategy's scope, and continues from the last checkpoint if there is one. Then the
    weights are copied into `model`. The record is written last. After that, the checkpoints are removed.

    Args:
        records: Where finished trainings are recorded.
        name: The training's name within the run.
        model: The model that receives the trained weights. It was created outside of the strategy's scope, so that it
            can be exported.
        fit: A function that creates and trains a network. It returns the network, and facts for the record, such as
            the history. It is called in the strategy's scope with the settings of the checkpoints, or None.
        measure: A function that measures the trained `model` for the record. Only the chief calls it.
        kinds: Keys that a record of this training must have, with the types of their values.
        strategy: The devices to train on, see `kv.distribute.pick_strategy`.

    Returns:
        The record: the facts that `measure` and `fit` returned.
    """
    from kvision.backbones import weights
    from kvision.distribute import pick_strategy, values

    path = records.path(f"{name}.weights.h5")
    if path is not None and (record := records.done(name, **kinds)):
        weights.load(model, path)
        return record
    resume = records.resume(name)
    with pick_strategy(strategy).scope():
        network, facts = fit(resume)
        for ours, theirs in zip(model.weights, network.weights, strict=True):
            ours.assign(values.read(theirs))
    if not records.is_chief:
        return records.wait(name, **kinds)
    record = {**measure(), **facts}
    if path is not None:
        with atomic.file(path) as temporary:
            model.save_weights(temporary)
    records.finish(name, record)
    if resume is not None:
        resume.checkpoints.clear()
    return record
