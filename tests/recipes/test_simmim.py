from kvision import runs
from kvision.recipes import simmim


def test_it_is_the_method_of_its_name():
    assert simmim.run.func is runs.pretraining.run and simmim.run.args == ("simmim",)
