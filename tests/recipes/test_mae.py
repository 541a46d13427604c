from kvision import runs
from kvision.recipes import mae


def test_it_is_the_method_of_its_name():
    assert mae.run.func is runs.pretraining.run and mae.run.args == ("mae",)
