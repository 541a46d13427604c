import kvision as kv


def test_words_in_singular_and_plural_inside_of_names():
    names = ["Border Collie", "buses", "zebras", "tumor", "military aircraft", "granite", "wolves_eyes"]
    assert kv.transfer.seen_classes(names) == ["Border Collie", "buses", "zebras", "military aircraft"]
