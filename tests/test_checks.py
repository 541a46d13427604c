import math

import pytest

from kvision import checks


def test_error_says_what_was_expected_received_and_next():
    error = checks.UserError("rate", problem="is too high", expected="at most 1", received=2.5, hint="Try 1e-3")
    assert isinstance(error, ValueError)
    assert str(error) == "`rate` is too high. Expected at most 1. Received: 2.5. Try 1e-3."


def test_long_values_are_cut():
    assert len(str(checks.UserError("x", expected="little", received="a" * 10_000))) < 300


@pytest.mark.parametrize(("value", "near"), [("resnet50", "ResNet50"), ("ResNet5", "ResNet50"), ("vg16", "VGG16")])
def test_one_of_suggests_the_nearest(value, near):
    with pytest.raises(checks.UserError, match=f"Did you mean '{near}'"):
        checks.one_of("name", value, ["ResNet50", "VGG16"])


def test_one_of_returns_the_value_and_refuses_other_types():
    assert checks.one_of("name", "b", ("a", "b")) == "b"
    for value in ("zzz", None, ["a"]):
        with pytest.raises(checks.UserError, match="one of: a, b"):
            checks.one_of("name", value, ("a", "b"))


@pytest.mark.parametrize("value", [0, -1, 0.0, math.inf, math.nan])
def test_positive_names_the_first_that_is_not(value):
    checks.positive({"rate": 1e-9, "epochs": 3, "minutes": None})
    with pytest.raises(checks.UserError, match=r"^`rate` is not valid\. Expected a positive number\."):
        checks.positive({"epochs": 1, "rate": value, "minutes": -1})
