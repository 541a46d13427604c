from pathlib import Path

import pytest

import kvision as kv
from kvision.data import clips


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_names_are_taken_apart_into_clip_and_number(tmp_path):
    names = [
        "0001TP_006690.jpg",
        "0001TP_006750.jpg",
        "0006R0_f00930.jpg",
        "0006R0_f02.jpg",
        "7.png",
        "10.png",
        "cat.png",
    ]
    touch(tmp_path, *names, "film.mp4", "deep/Film.MOV", ".hidden_1.png", "__MACOSX/a_1.png", "readme.txt")
    found = {clip.name: clip for clip in clips.find(tmp_path)}
    assert {name: clip.numbers for name, clip in found.items()} == {
        "0001TP": (6690, 6750),
        "0006R0": (2, 930),
        "": (7, 10),
        "cat": (0,),
        "film.mp4": (),
        "Film.MOV": (),
    }
    assert [path.name for path in found["0006R0"].files] == ["0006R0_f02.jpg", "0006R0_f00930.jpg"]
    assert found["film.mp4"].is_video and not found["cat"].is_video


def test_parts_and_folders_keep_clips_apart(tmp_path):
    touch(tmp_path, *(f"{side}/{kind}/a_{n}.png" for side in ("train", "val") for kind in ("x", "y") for n in (1, 2)))
    found = clips.find(tmp_path)
    assert [(clip.part, clip.files[0].parent.name, clip.numbers) for clip in found] == [
        ("train", "x", (1, 2)),
        ("train", "y", (1, 2)),
        ("test", "x", (1, 2)),
        ("test", "y", (1, 2)),
    ]


def test_gaps_are_found_by_the_usual_step():
    assert clips.interrupted((1, 2, 3, 7, 8)).tolist() == [False, False, False, True, False]
    assert clips.interrupted((10, 12, 14, 16, 20, 25)).tolist() == [False] * 5 + [True]
    assert clips.interrupted((5,)).tolist() == [False] and clips.interrupted(()).tolist() == []


@pytest.mark.parametrize("folder", ["absent", "."])
def test_a_folder_without_clips_is_refused(tmp_path, folder):
    touch(tmp_path, "notes.txt")
    with pytest.raises(kv.UserError) as caught:
        clips.find(Path(tmp_path, folder), argument="data")
    assert caught.value.argument == "data"
