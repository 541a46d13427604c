from pathlib import Path

import pytest

import kvision as kv
from kvision.backbones import table
from kvision.backbones.zoo import ZOO

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
QUICK = ("AlexNet", "EfficientNetLite0", "MobileNet", "ResNet20", "VGG16")


def written() -> dict[str, list[str]]:
    block = README.split(table.BEGIN)[1].split(table.END)[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
    assert lines[0] == [cell.strip() for cell in table.HEAD[0].strip("|").split("|")]
    return {name: cells for name, *cells in lines[2:]}


def test_what_the_readme_says_without_building():
    """`python -m kvision.backbones.table README.md` mends it."""
    found = written()
    assert list(found) == list(ZOO) == list(kv.backbones.available())
    for name, (_, size, smallest, _, _, preprocessing, imagenet) in found.items():
        expected = {"size": size, "smallest": smallest, "preprocessing": preprocessing, "imagenet": imagenet}
        assert table.cheap(name) == expected
        assert kv.backbones.info(name).image_size == int(size) and kv.backbones.info(name).smallest_size == int(
            smallest
        )
        assert kv.backbones.info(name).has_imagenet == (imagenet != "none")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in ZOO])
def test_what_the_readme_says_of_the_network(name):
    parameters, _, _, width, strides, _, _ = written()[name]
    assert table.measured(name) == {"parameters": parameters, "width": width, "strides": strides}


def test_shapes_alone_count_as_the_network_does():
    model = kv.backbones.create("MobileNet", image_size=32, pooling="avg")
    assert table.measured("MobileNet")["parameters"] == f"{model.count_params():,}"


def test_the_command_replaces_what_stands_between_the_marks(tmp_path, monkeypatch, capsys):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(table, "ZOO", {name: ZOO[name] for name in ("VGG16", "ResNet20")})
    table.main([str(path)])
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n<!--") and text.endswith("-->\nafter\n") and "old" not in text
    assert "| VGG16 | 14,714,688 | 224 | 32 | 512 | 1, 2, 4, 8, 16, 32 | caffe | Keras' download |\n" in text
    table.main([])
    assert capsys.readouterr().out.strip() in text
