import dataclasses
import json

import pytest

import kvision as kv
from kvision.checks import UserError

CRFParameters = kv.segmentation.CRFParameters


def test_distances_follow_the_diagonal():
    parameters = CRFParameters(bilateral_distance=0.1, spatial_distance=0.01)
    assert parameters.pixels(300, 400) == (50, 5) and parameters.pixels(600, 800) == (100, 10)


def test_facts_come_back_and_those_of_a_stranger_are_checked():
    parameters = CRFParameters(bilateral_weight=0, iterations=3)
    facts = json.loads(json.dumps(parameters.facts()))
    assert CRFParameters.from_facts(facts) == parameters
    bad = ({}, [], {**facts, "more": 1}, {**facts, "iterations": 10**9}, {**facts, "spatial_weight": "1"})
    for wrong in (*bad, {**facts, "bilateral_color": float("nan")}, {**facts, "spatial_weight": True}):
        with pytest.raises(ValueError):
            CRFParameters.from_facts(wrong)


@pytest.mark.parametrize("field", dataclasses.fields(CRFParameters), ids=lambda field: field.name)
def test_each_value_is_checked(field):
    for value in (-1, float("inf"), None):
        with pytest.raises(UserError, match=f"`{field.name}`"):
            CRFParameters(**{field.name: value})
    if field.name.endswith("weight") or field.name == "iterations":
        CRFParameters(**{field.name: 0})
    else:
        with pytest.raises(UserError, match=f"`{field.name}`"):
            CRFParameters(**{field.name: 0})
