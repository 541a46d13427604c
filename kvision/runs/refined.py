"""Code of the recipes that sharpen a segmentation with a dense CRF: fitting and measurement."""

import time
from typing import TYPE_CHECKING, Any

from kvision.crf_parameters import CRFParameters
from kvision.runs import masked
from kvision.runs.records import Records
from kvision.runs.result import Split

if TYPE_CHECKING:
    import keras

    from kvision.data import MaskedImages

__all__ = ["measured", "with_crf"]

_MOST = 40  # images; the search needs all their probabilities in memory, and its time grows with their number
_FIT, _MEASUREMENTS = {"crf": dict, "crf_trials": list, "seconds": float}, {"full_range": dict, "window": dict}


def measured(
    model: "keras.Model", split: Split, *, seed: int, records: Records, name: str
) -> tuple[CRFParameters, dict[str, dict]]:
    """Fits a CRF to a trained network, and measures both forms of the CRF on the test images.

    A network is too certain on its own training images. So the CRF is fitted on at most 40 validation images.

    Args:
        model: A network from images to logits.
        split: The data of the run, with validation images.
        seed: Seed of the choice of images and of the interval.
        records: Where the result is recorded, under the network's name with `-crf`.
        name: The name of the network.

    Returns:
        The parameters, and two measurements for the report by name: the full-range form as `<name>-crf`, and the form
        inside the exported model as `<name>-crf-window`.
    """
    part = f"{name}-crf"
    fit = records.done_or_wait(f"{part}-fit", **_FIT)
    if fit is None:
        fit = _fit(masked.exportable(model), split.validation.some(_MOST, seed=seed))
        records.finish(f"{part}-fit", fit)
    parameters = CRFParameters.from_facts(fit["crf"])
    found = records.done_or_wait(part, **_MEASUREMENTS)
    if found is None:
        found = _measure(model, parameters, split.test, seed)
        records.finish(part, found)
    rows = {part: found["full_range"], f"{part}-window": found["window"]}
    return parameters, {key: {**row, **fit} for key, row in rows.items()}


def with_crf(model: "keras.Model", parameters: CRFParameters) -> "keras.Model":
    """Returns a network of probabilities that ends with a windowed CRF.

    Args:
        model: A network from images to logits.
        parameters: The parameters of the CRF.

    Returns:
        A network from images to probabilities. It shares the weights of `model`.
    """
    import keras

    from kvision import layers

    plain = masked.exportable(model)
    found = layers.WindowedCRF(parameters, name="crf")(plain.output, plain.input)
    return keras.Model(plain.input, found, name=model.name)


def _fit(network: "keras.Model", held: "MaskedImages") -> dict[str, Any]:
    """Fits a CRF to a network of probabilities. Returns the record."""
    from kvision import segmentation

    started = time.monotonic()
    examples = [held.example(i) for i in range(len(held))]
    probabilities = [network.predict_on_batch(image[None].astype("float32"))[0] for image, _ in examples]
    images, masks = zip(*examples, strict=True)
    found = segmentation.fit_crf(probabilities, images, masks)
    return {
        "crf": found.parameters.facts(),
        "crf_trials": list(found.table),
        "crf_images": len(held),
        "seconds": round(time.monotonic() - started, 1),
    }


def _measure(model: "keras.Model", parameters: CRFParameters, test: "MaskedImages", seed: int) -> dict[str, dict]:
    from kvision import segmentation

    def refine(found, image):
        return segmentation.dense_crf(found, image, parameters)

    return {
        "full_range": masked.score(model, test, seed=seed, refine=refine),
        "window": masked.score(with_crf(model, parameters), test, seed=seed),
    }
