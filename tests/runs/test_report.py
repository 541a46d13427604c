from kvision.runs import report

REPORT = {
    "results": {"toy": {"accuracy": 0.5, "interval": [0.1, 0.9], "seconds": 0.1, "chosen": "k = 3", "chance": 0.25}},
    "best": "toy",
    "columns": ["head", "chosen"],
    "score": "accuracy",
    "exports": ["out/1"],
    "pictures": [],
    "next": "kvision predict",
}


def test_what_decides_stands_in_the_table(tmp_path, capsys):
    report.tell({**REPORT, "deciding": {"validation": "chance"}, "rule": "The best wins."}, tmp_path)
    out = capsys.readouterr().out
    assert "validation" in out and "0.2500" in out and "The best wins." in out


def test_a_run_is_complete_with_its_version_and_its_files(tmp_path):
    extra = tmp_path / "1/assets.extra"
    extra.mkdir(parents=True)
    assert not report.is_complete(REPORT, tmp_path, ("float32",))
    (extra / "model.tflite").touch()
    assert report.is_complete(REPORT, tmp_path, ("float32",))
    assert not report.is_complete(REPORT, tmp_path, ("float32", "int8"))
    assert not report.is_complete({**REPORT, "exports": []}, tmp_path, ("float32",))
