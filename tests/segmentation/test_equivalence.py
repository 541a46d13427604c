import keras
import numpy as np
from windowed import IMAGE, padded, valid

from kvision.segmentation import convolutionalize, equivalence_report


def test_exact_where_nothing_pads():
    for head in ("flatten", "average"):
        report = equivalence_report(valid(head), convolutionalize(valid(head)), IMAGE)
        assert report.exact and report.agreement == 1 and report.relative < 1e-5 and report.cells == 7 * 11


def test_padding_is_measured():
    report = equivalence_report(padded(), convolutionalize(padded()), IMAGE)
    assert not report.exact and report.largest > 1e-3 and 0 < report.relative < 1


def test_a_network_that_says_the_same_of_everything_shows_nothing():
    model = padded()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    report = equivalence_report(model, convolutionalize(model), IMAGE)
    assert report.largest == 0 and report.spread == 0 and not report.exact


def test_other_weights_are_found():
    model = valid()
    other = convolutionalize(model)
    keras.utils.set_random_seed(1)
    other.get_layer("scores").kernel.assign(other.get_layer("scores").kernel * 1.01)
    assert not equivalence_report(model, other, IMAGE).exact
