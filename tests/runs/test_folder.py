import dataclasses

from kvision import runs


@dataclasses.dataclass(frozen=True)
class Config(runs.Settings):
    methods: str | None = runs.setting(None, "a setting")


SPLIT = runs.Split(None, None, (), (), "a toy", "0123")


def test_settings_and_data_name_the_folder(tmp_path):
    first = runs.run_folder(tmp_path, Config(), SPLIT)
    assert first.is_dir() and first.parent == tmp_path / "runs"
    assert runs.run_folder(tmp_path, Config(strategy="single"), SPLIT) == first
    assert runs.run_folder(tmp_path, Config(seed=1), SPLIT) != first
    assert runs.run_folder(tmp_path, Config(), dataclasses.replace(SPLIT, fingerprint="4567")) != first
    others = [runs.run_folder(tmp_path, Config(methods=name), SPLIT, without=["methods"]) for name in ("a", "b")]
    assert others[0] == others[1]
