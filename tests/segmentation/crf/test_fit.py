import crf_by_hand as by_hand
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation.crf.fit import fit_crf

CRFParameters = kv.segmentation.CRFParameters


def data(count: int = 1):
    found = [by_hand.two_regions(16, 24, noise=1.5, seed=seed) for seed in range(count)]
    images, masks, probabilities = zip(*found, strict=True)
    return probabilities, images, masks


def test_it_finds_parameters_that_raise_boundary_f1_and_says_what_it_tried():
    start = CRFParameters(0.5, 0.128, 40, 0.2, 0.0048, iterations=2)
    found = fit_crf(*data(2), start=start, progress=False)
    rows = {(row["bilateral_weight"], row["spatial_weight"]): row for row in found.table}
    best = max((row for row in found.table if row["allowed"]), key=lambda row: row["boundary_f1"])
    assert rows[0, 0]["boundary_f1"] < found.table[1]["boundary_f1"] < best["boundary_f1"]
    assert {name: best[name] for name in found.parameters.facts()} == found.parameters.facts()
    assert len(found.table) == 22 and found.table[0]["bilateral_weight"] == 0
    again = fit_crf(*data(2), start=start, progress=False)
    assert again == found, "nothing is random"


def test_the_floor_of_the_mean_iou_is_kept():
    """A method that makes perfect boundaries, but renames a class when it is strong."""
    probabilities, images, masks = data(1)

    def refine(given, image, parameters):
        if not parameters.bilateral_weight:
            return given
        perfect = np.eye(2)[masks[0]]
        return perfect[..., ::-1] if parameters.bilateral_weight > 4 else perfect * 0.6 + given * 0.4

    found = fit_crf(probabilities, images, masks, refine=refine, progress=False)
    assert 0 < found.parameters.bilateral_weight <= 4
    assert [row["allowed"] for row in found.table[:3]] == [True, False, True], "of the two starts, one is allowed"
    alone = fit_crf(probabilities, images, masks, refine=refine, start=CRFParameters(6), progress=False)
    assert 0 < alone.parameters.bilateral_weight <= 4


def test_what_only_harms_is_switched_off():
    probabilities, images, masks = data(1)

    def refine(given, image, parameters):
        return given[..., ::-1] if parameters.bilateral_weight else given

    found = fit_crf(probabilities, images, masks, refine=refine, progress=False)
    assert found.parameters.bilateral_weight == found.parameters.spatial_weight == 0


def test_wrong_calls_are_told():
    probabilities, images, masks = data(1)
    for given in ((probabilities, images, masks * 2), ((), (), ())):
        with pytest.raises(UserError, match="`probabilities, images, masks`"):
            fit_crf(*given, progress=False)
