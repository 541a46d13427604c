from kvision import runs
from kvision.recipes import swav


def test_it_is_the_method_of_its_name():
    assert swav.run.func is runs.pretraining.run and swav.run.args == ("swav",)
