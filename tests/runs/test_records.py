import time
from concurrent.futures import ThreadPoolExecutor

from kvision.runs import Records


def test_finished_records_are_remembered_by_the_next_run(tmp_path):
    records = Records(tmp_path / "run")
    assert records.done("knn") is None
    records.finish("knn", {"seconds": 1.5, "predicted": [1, 2]})
    assert Records(tmp_path / "run").done("knn") == {"seconds": 1.5, "predicted": [1, 2]}
    assert records.path("knn.npz") == tmp_path / "run" / "knn.npz"


def test_a_damaged_record_is_reported_and_runs_again(tmp_path, capsys):
    records = Records(tmp_path)
    (tmp_path / "knn.json").write_text('{"seconds": 1')
    assert records.done("knn") is None
    assert "knn is damaged" in capsys.readouterr().out


def test_a_record_of_another_make_runs_again(tmp_path, capsys):
    records = Records(tmp_path)
    for text, reason in [
        ("[1, 2]", "no record"),
        ("[" * 100_000, "recursion"),
        ('{"predicted": [1]}', "lacks seconds"),
        ('{"predicted": 1, "seconds": 1.5}', "lacks predicted"),
        ("\ud800".encode("utf-8", "surrogatepass"), "decode"),
    ]:
        (tmp_path / "knn.json").write_bytes(text.encode() if isinstance(text, str) else text)
        assert records.done("knn", predicted=list, seconds=float) is None
        assert reason in capsys.readouterr().out
    (tmp_path / "knn.json").unlink()
    (tmp_path / "knn.json").mkdir()
    assert records.done("knn") is None
    assert "Is a directory" in capsys.readouterr().out


def test_without_a_folder_nothing_is_kept():
    records = Records()
    records.finish("knn", {})
    assert records.done("knn") is None and records.path("x") is None and records.resume("x") is None


def finished(folder) -> Records:
    records = Records(folder)
    for stage in ("knn", "finetune", "report"):
        records.finish(stage, {"of": stage})
    checkpoints = records.resume("knn").folder
    checkpoints.mkdir(parents=True)
    (checkpoints / "000-000001-00000000.npz").touch()
    (folder / "knn.npz").touch()
    return records


def test_again_begins_a_finished_run_anew_and_keeps_its_reports(tmp_path):
    for number in (1, 2):
        finished(tmp_path)
        records = Records(tmp_path, again=True)
        assert [records.done(stage) for stage in ("knn", "finetune", "report")] == [None] * 3
        assert not records.resume("knn").folder.exists()
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"knn.npz", *(f"report-{i}.json" for i in range(1, number + 1))}
        assert records.done(f"report-{number}") == {"of": "report"}


def test_again_goes_on_with_an_unfinished_run(tmp_path):
    finished(tmp_path)
    (tmp_path / "report.json").unlink()
    records = Records(tmp_path, again=True)
    assert records.done("knn") == {"of": "knn"} and len(list(records.resume("knn").folder.iterdir())) == 1


def test_one_leads_and_the_others_read(tmp_path):
    finished(tmp_path)
    follower = Records(tmp_path, again=True, is_chief=False)
    follower.finish("new", {})
    assert follower.done("knn") == {"of": "knn"} and follower.done("new") is None
    assert (tmp_path / "report.json").exists() and follower.resume("knn").folder.exists()


def test_others_wait_for_a_whole_record(tmp_path, capsys):
    leader, follower = Records(tmp_path), Records(tmp_path, is_chief=False)
    leader.finish("knn", {"seconds": "not yet"})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(follower.wait, "knn", seconds=float)
        time.sleep(0.2)
        assert not waiting.done()
        leader.finish("knn", {"seconds": 1.5})
        assert waiting.result(timeout=5) == {"seconds": 1.5}
    assert capsys.readouterr().out.count("Waiting for the chief to finish knn") == 1
    assert follower.wait("knn", seconds=float) == {"seconds": 1.5}
    assert "Waiting" not in capsys.readouterr().out
