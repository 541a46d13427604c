import kvision as kv
from kvision import choices


def test_the_names_are_what_the_packages_know():
    assert tuple(kv.schedules.SCHEDULES) == choices.SCHEDULES
    assert kv.selfsup.METHODS == choices.METHODS
    smallest = {name: kv.backbones.info(name).smallest_size for name in kv.backbones.available()}
    assert list(smallest.items()) == list(choices.BACKBONES.items())
