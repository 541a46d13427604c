import dataclasses
import json

import numpy as np
import pytest
import replicas
from processes import within

from kvision import cli, runs
from kvision.checks import UserError
from kvision.recipes import smalldata

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = dataclasses.replace(
    smalldata.SMOKE,
    backbone="Small",
    weights="none",
    image_size=32,
    train_per_class=8,
    test_per_class=5,
    steps=2,
    tune_steps=2,
    fractions=("0.3", "1"),
)


def test_all_ways_in_one_table_and_the_first_is_exported(tmp_path):
    arguments = ["--smoke", "--backbone", "Small", "--weights", "none", "--image-size", "32", "--out", str(tmp_path)]
    arguments += ["--train-per-class", "8", "--test-per-class", "5", "--fractions", "1", "--steps", "2"]
    arguments += ["--ways", "small,finetune,frozen", "--tune-steps", "2"]
    result = within(cli.main, "smalldata", *arguments)
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert set(report["results"]) == {"finetune-80", "frozen-80", "small-80"}
    assert report["best"] == "small-80" and (tmp_path / "1/assets.extra/model.tflite").is_file()
    for row in report["results"].values():
        assert row["labels"] == 80 and row["interval"][0] <= row["accuracy"] <= row["interval"][1]
    again = within(cli.main, "smalldata", *arguments)
    assert "This run is finished" in again.stdout


def test_seeds_choose_other_images_and_a_record_is_used_again(tmp_path):
    config = dataclasses.replace(SMALL, ways=("small",), seeds=2, fractions=("0.3",))
    split = smalldata.load(config)
    found = smalldata.run(split, config, records=runs.Records(tmp_path))
    assert len(found.metrics["small-20"]["accuracies"]) == 2
    assert {path.name for path in tmp_path.glob("*.json")} == {"small-20-0.json", "small-20-1.json"}
    again = smalldata.run(split, config, records=runs.Records(tmp_path))
    assert again.metrics == found.metrics
    for ours, theirs in zip(again.model.get_weights(), found.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_googlenet_trains_with_its_auxiliary_classifiers_and_leaves_without():
    config = dataclasses.replace(SMALL, ways=("scratch",), network="googlenet", fractions=("1",))
    found = smalldata.run(smalldata.load(config), config)
    assert found.model.output_shape == (None, 10) and found.model.input_shape[1:] == (65, 65, 3)


def test_wrong_settings_are_told():
    for options, text in (
        ({"fractions": ("0",)}, "`fractions`"),
        ({"fractions": ("a",)}, "`fractions`"),
        ({"network": "Nothing"}, "`network`"),
        ({"ways": ("best",)}, "`ways`"),
        ({"image_size": 2}, "`image_size`"),
    ):
        with pytest.raises(UserError, match=text):
            smalldata.load(dataclasses.replace(SMALL, **options))


@pytest.mark.slow
def test_on_two_devices_the_recipe_is_the_same():
    code = """
    import dataclasses
    from kvision.recipes import smalldata
    config = dataclasses.replace(
        smalldata.SMOKE, backbone="ResNet20", weights="none", image_size=32, train_per_class=8, test_per_class=5,
        tune_steps=2, fractions=("0.8",), ways=("finetune",), batch_size=60, strategy=sys.argv[1])
    result = smalldata.run(smalldata.load(config), config)
    answer(losses=result.history["loss"])
    """
    (one,) = replicas.run(code, arguments=["single"])
    (two,) = replicas.run(code, devices=2, arguments=["mirrored"])
    assert len(set(one["losses"])) > 2, "the weights move"
    # One step for each epoch. Later, Adam divides gradients that are nearly 0 by their own size.
    np.testing.assert_allclose(one["losses"][:3], two["losses"][:3], rtol=1e-4)
