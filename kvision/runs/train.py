"""One training of a run: found finished, resumed, or trained to the end, and then recorded."""

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
    """Gives a model its trained weights, and returns the record of its training.

    A finished training is read back. Otherwise a network with the same weights is trained under the strategy, resumed
    from its last checkpoint if there is one, and its weights are copied into `model`. The record is written last, and
    then the checkpoints are removed.

    Args:
        records: Where finished trainings are recorded.
        name: The training's name within the run.
        model: Gets the trained weights. It was created outside of the strategy, so that it can be exported.
        fit: Creates a network, trains it, and returns it with facts for the record, such as its history. It is called
            in the strategy's scope with the place of the checkpoints.
        measure: Returns what the record holds of the trained `model`. Only the chief calls it.
        kinds: What a record of this training must hold.
        strategy: The devices to train on, see `kv.distribute.pick_strategy`.

    Returns:
        The record: what `measure` and `fit` returned.
    """
    from kvision import distribute
    from kvision.backbones import weights

    path = records.path(f"{name}.weights.h5")
    if path is not None and (record := records.done(name, **kinds)):
        weights.load(model, path)
        return record
    resume = records.resume(name)
    with distribute.pick_strategy(strategy).scope():
        network, facts = fit(resume)
        for ours, theirs in zip(model.weights, network.weights, strict=True):
            ours.assign(distribute.read(theirs))
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
