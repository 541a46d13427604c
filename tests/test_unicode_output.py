import io
import json
import os
import sys

from kvision.unicode_output import escape_names


def test_names_that_are_not_utf8_are_printed_and_come_back_from_json(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="utf-8", write_through=True))
    escape_names()
    name = os.fsdecode(b"caf\xe9 \xe7\x8c\xab.jpg")
    print(name)
    print(json.dumps(name, ensure_ascii=False))
    first, second = written.getvalue().decode().splitlines()
    assert first == r"caf\udce9 猫.jpg" and json.loads(second) == name
