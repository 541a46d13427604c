import pytest
import videos

import kvision as kv
from kvision.pixels import media_file


def test_a_video_is_opened(tmp_path):
    path = videos.write(tmp_path / "a:b %d.mp4", videos.moving(2))
    with media_file.opened(path) as container:
        assert len(container.streams.video) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.mp4", None),
        ("text.mp4", b"no video"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"),
        ("list.mp4", b"ffconcat version 1.0\nfile clip.mp4\n"),
    ],
)
def test_other_files_are_refused_by_the_name_of_the_argument(tmp_path, name, content):
    videos.write(tmp_path / "clip.mp4", videos.moving(2))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(kv.UserError) as caught:
        media_file.opened(tmp_path / name, argument="IN")
    assert caught.value.argument == "IN"


def test_addresses_are_not_opened():
    with pytest.raises(kv.UserError):
        media_file.opened("http://localhost:9/film.mp4")
