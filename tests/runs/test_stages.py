import time
from concurrent.futures import ThreadPoolExecutor

from kvision.runs import Stages


def test_finished_stages_are_remembered_by_the_next_run(tmp_path):
    stages = Stages(tmp_path / "run")
    assert stages.done("knn") is None
    stages.finish("knn", {"seconds": 1.5, "predicted": [1, 2]})
    assert Stages(tmp_path / "run").done("knn") == {"seconds": 1.5, "predicted": [1, 2]}
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
    assert stages.done("knn") is None and stages.path("x") is None and stages.resume() is None


def finished(folder) -> Stages:
    stages = Stages(folder)
    for stage in ("knn", "finetune", "report"):
        stages.finish(stage, {"of": stage})
    checkpoints = stages.resume("knn").folder
    checkpoints.mkdir(parents=True)
    (checkpoints / "000-000001-00000000.npz").touch()
    (folder / "knn.npz").touch()
    return stages


def test_again_begins_a_finished_run_anew_and_keeps_its_reports(tmp_path):
    for number in (1, 2):
        finished(tmp_path)
        stages = Stages(tmp_path, again=True)
        assert [stages.done(stage) for stage in ("knn", "finetune", "report")] == [None] * 3
        assert not stages.resume("knn").folder.exists()
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"knn.npz", *(f"report-{i}.json" for i in range(1, number + 1))}
        assert stages.done(f"report-{number}") == {"of": "report"}


def test_again_goes_on_with_an_unfinished_run(tmp_path):
    finished(tmp_path)
    (tmp_path / "report.json").unlink()
    stages = Stages(tmp_path, again=True)
    assert stages.done("knn") == {"of": "knn"} and len(list(stages.resume("knn").folder.iterdir())) == 1


def test_one_leads_and_the_others_read(tmp_path):
    finished(tmp_path)
    follower = Stages(tmp_path, again=True, leads=False)
    follower.finish("new", {})
    assert follower.done("knn") == {"of": "knn"} and follower.done("new") is None
    assert (tmp_path / "report.json").exists() and follower.resume("knn").folder.exists()


def test_others_wait_for_a_whole_record(tmp_path, capsys):
    leader, follower = Stages(tmp_path), Stages(tmp_path, leads=False)
    leader.finish("knn", {"seconds": "not yet"})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(follower.wait, "knn", seconds=float)
        time.sleep(0.2)
        assert not waiting.done()
        leader.finish("knn", {"seconds": 1.5})
        assert waiting.result(timeout=5) == {"seconds": 1.5}
    assert capsys.readouterr().out.count("Waits for the first worker's knn") == 1
    assert follower.wait("knn", seconds=float) == {"seconds": 1.5}
    assert "Waits" not in capsys.readouterr().out
