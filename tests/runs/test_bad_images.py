from types import SimpleNamespace

from kvision.data import BadFile
from kvision.runs import bad_images


def test_quarantine_keeps_images_of_another_folder_apart(tmp_path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs/torn.png").write_bytes(b"torn")
    bad = BadFile("torn.png", "it is torn", folder=str(tmp_path / "photographs"))
    bad_images.copy(SimpleNamespace(bad_images=[bad]), tmp_path / "data", tmp_path / "bad_images")
    assert (tmp_path / "bad_images/unlabeled/torn.png").read_bytes() == b"torn"
    assert (tmp_path / "photographs/torn.png").exists()


def test_quarantine_copies_a_mask_with_its_image(tmp_path, capsys):
    for name in ("images/a.jpg", "masks/a.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).write_bytes(name.encode())
    bad = BadFile("images/a.jpg", "its mask has another size", beside=("masks/a.png",))
    bad_images.copy(SimpleNamespace(bad_images=[bad]), tmp_path / "data", tmp_path / "bad_images")
    assert (tmp_path / "bad_images/masks/a.png").read_bytes() == b"masks/a.png"
    assert (tmp_path / "bad_images/images/a.jpg").exists() and "1 of these 1 were copied" in capsys.readouterr().err


def test_nothing_is_copied_out_of_the_quarantine(tmp_path, capsys):
    """A CSV file may name files outside of its folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/labels.csv").write_text("")
    (tmp_path / "data/torn.png").write_bytes(b"torn")
    (tmp_path / "out.png").write_bytes(b"out")
    bad = [BadFile(path, "it cannot be used") for path in ("torn.png", "../out.png", str(tmp_path / "out.png"))]
    quarantine = tmp_path / "run/bad_images"
    bad_images.copy(SimpleNamespace(bad_images=bad), tmp_path / "data/labels.csv", quarantine)
    assert [path.name for path in (tmp_path / "run").rglob("*") if path.is_file()] == ["torn.png"]
    assert "1 of these 3 were copied" in capsys.readouterr().err
