from kvision.runs import Stages


def test_finished_stages_are_remembered_by_the_next_run(tmp_path):
    stages = Stages(tmp_path / "run")
    assert stages.done("knn") is None
    stages.finish("knn", {"seconds": 1.5, "predicted": [1, 2]})
    assert Stages(tmp_path / "run").done("knn") == {"seconds": 1.5, "predicted": [1, 2]}
    assert Stages(tmp_path / "run", fresh=True).done("knn") is None
    assert stages.path("knn.npz") == tmp_path / "run" / "knn.npz"


def test_a_damaged_record_is_reported_and_runs_again(tmp_path, capsys):
    stages = Stages(tmp_path)
    (tmp_path / "knn.json").write_text('{"seconds": 1')
    assert stages.done("knn") is None
    assert "knn is damaged" in capsys.readouterr().out


def test_a_record_of_another_make_runs_again(tmp_path, capsys):
    stages = Stages(tmp_path)
    for text, reason in [
        ("[1, 2]", "no record"),
        ("[" * 100_000, "recursion"),
        ('{"predicted": [1]}', "lacks seconds"),
        ('{"predicted": 1, "seconds": 1.5}', "lacks predicted"),
        ("\ud800".encode("utf-8", "surrogatepass"), "decode"),
    ]:
        (tmp_path / "knn.json").write_bytes(text.encode() if isinstance(text, str) else text)
        assert stages.done("knn", predicted=list, seconds=float) is None
        assert reason in capsys.readouterr().out
    (tmp_path / "knn.json").unlink()
    (tmp_path / "knn.json").mkdir()
    assert stages.done("knn") is None
    assert "Is a directory" in capsys.readouterr().out


def test_without_a_folder_nothing_is_kept():
    stages = Stages()
    stages.finish("knn", {})
    assert stages.done("knn") is None and stages.path("x") is None
