from pathlib import Path

import pytest

import kvision as kv
from kvision.backbones import table
from kvision.backbones.zoo import ZOO

PAGE = (Path(__file__).resolve().parents[2] / "docs/backbones.md").read_text(encoding="utf-8")
QUICK = ("AlexNet", "EfficientNetLite0", "MobileNet", "ResNet20", "VGG16")


def written() -> dict[str, list[str]]:
    block = PAGE.split(table.BEGIN)[1].split(table.END)[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
    assert lines[0] == [cell.strip() for cell in table.HEAD[0].strip("|").split("|")]
    return {name: cells for name, *cells in lines[2:]}


def test_what_the_page_says_without_building():
    """If this fails, replace the table by the output of `python -m kvision.backbones.table`."""
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
def test_what_the_page_says_of_the_network(name):
    parameters, _, _, width, strides, _, _ = written()[name]
    assert table.measured(name) == {"parameters": parameters, "width": width, "strides": strides}


def test_shapes_alone_count_as_the_network_does():
    model = kv.backbones.create("MobileNet", image_size=32, pooling="avg")
    assert table.measured("MobileNet")["parameters"] == f"{model.count_params():,}"


def test_rows(monkeypatch):
    monkeypatch.setattr(table, "ZOO", {name: ZOO[name] for name in ("VGG16", "ResNet20")})
    lines = table.rows().splitlines()
    assert lines[0] == table.BEGIN and lines[-1] == table.END
    assert "| VGG16 | 14,714,688 | 224 | 32 | 512 | 1, 2, 4, 8, 16, 32 | caffe | Keras' download |" in lines
