import pytest

from kvision.checks import UserError
from kvision.data import csv_layout


def read(tmp_path, text: str | bytes):
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return csv_layout.read(path)


def test_rows(tmp_path):
    assert read(tmp_path, "file,class\na/1.jpg,cat\n2.jpg,größer\n") == [
        ("a/1.jpg", "cat", None),
        ("2.jpg", "größer", None),
    ]
    rows = read(tmp_path, b"\xef\xbb\xbf" + b"Label,Split,other,PATH\ncat,VAL,x,1.jpg\ndog,test,,2.jpg\n")
    assert rows == [("1.jpg", "cat", "validation"), ("2.jpg", "dog", "test")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images.*a column of files"),
        ("file,class\n", "lists no images.*no row"),
        ("name,class\na.jpg,cat\n", "lists no images.*the columns name, class"),
        ("file,class\na.jpg,\n", "cannot be used, in line 2"),
        ("file,class,part\na.jpg,cat,train\nb.jpg,cat,holdout\n", "in line 3.*one of train, val"),
        (b"file,class\n\xff,cat\n", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)
