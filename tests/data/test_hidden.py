from kvision.data.hidden import hidden


def test_what_a_system_made_is_hidden_and_what_people_name_is_not():
    assert all(map(hidden, (".git", ".ipynb_checkpoints", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found")))
    assert not any(map(hidden, ("cat", "macosx", "lost", "test", "_x", "$")))
