"""Input files: judged by content; what cannot be used is refused with one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.errors import UserError
from nadg.domain.inputs import InputFile
from nadg.planning.columns import judge_columns
from nadg.planning.inspect import inspect_input

BLOB = BlobRef(sha256="0" * 64, size=1)
EXAMPLES = Path(__file__).parents[2] / "examples"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
JUNK = bytes(range(256)) * 8


def inspected(folder: Path, name: str, content: bytes) -> InputFile:
    (folder / name).write_bytes(content)
    return inspect_input(folder / name, name, BLOB)


REFUSED: list[tuple[str, bytes, str]] = [
    ("t.csv", b"", "t.csv: the file is empty; give one with content"),
    ("t.csv", JUNK, "binary data (byte 0x00 at offset 0), not text"),
    ("t.csv", b"a,b\n\x01\x02\x03\x04\x05", "binary data (byte 0x01 at offset 4), not text"),
    ("t.csv", b"\x7fELF\x02\x01\x01" + bytes(9), "holds binary data"),
    ("t.csv", PNG, "the content is an image, not a table"),
    ("t.csv", b"a,b\n1,caf\xe9\n", "byte 0xe9 at offset 9 is not UTF-8 (tried utf-8); save the file as UTF-8"),
    ("t.csv", "a,b\n1,2\n".encode("utf-16"), "the text is UTF-16"),
    ("t.txt", "hello".encode("utf-16"), "the text is UTF-16"),
    ("t.txt", b"ab\nc\xe9", "byte 0xe9 at offset 4 is not UTF-8"),
    ("t.txt", JUNK, "holds binary data"),
    ("t.csv", b"a,b\n", "has a header but no rows below it"),
    ("t.csv", b"\n\n", "holds no rows"),
    ("t.jsonl", b"\n\n", "holds no rows"),
    ("t.jsonl", b"{}\n", "its objects have no keys"),
    ("t.jsonl", b"[1]\n", "a line holds list"),
    ("t.jsonl", b"{\n", "a line is not JSON"),
    ("t.csv", b"a,b,a\n1,2,3\n", "columns 1 and 3 are both called 'a'; rename one"),
    ("t.csv", b"a,,c\n1,2,3\n", "column 2 has no name in the header"),
    ("t.csv", b",a\n0,2\n", "column 1 has no name in the header"),
    ("t.csv", b"a;b\n1;2\n", "the header 'a;b' is one column; separate the columns by commas"),
    ("t.tsv", b"a,b\n1,2\n", "separate the columns by tabs"),
    ("t.csv", b'a\n"' + b"x" * 200_000, "not a readable table"),
    ("t.json", b"{", "is not JSON"),
    ("t.json", b'"\xe9"', "byte 0xe9 at offset 1 is not UTF-8"),
    ("t.json", b"[" * 100_000, "is not JSON"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), REFUSED)
def test_what_cannot_be_used_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        inspected(tmp_path, name, content)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file; check the path"):
        inspect_input(tmp_path / "none.csv", "none.csv", BLOB)
    with pytest.raises(UserError, match="is a folder; name the files in it"):
        inspect_input(tmp_path, "folder", BLOB)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="cannot be read"):
        inspect_input(tmp_path / "file" / "below.csv", "below.csv", BLOB)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\n1\n")
    (tmp_path / "t.csv").chmod(0)
    with pytest.raises(UserError, match="may not be read by this user"):
        inspect_input(tmp_path / "t.csv", "t.csv", BLOB)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.png", PNG, "image"),
        ("misnamed.dat", PNG, "image"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(20), "image"),
        ("a.gif", b"GIF89a" + bytes(20), "image"),
        ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "image"),
        ("a.bmp", b"BM\x10\0\0\0\0\0\0\0", "image"),
        ("a.tif", b"II*\0\x08\0\0\0", "image"),
        ("a.tiff", b"MM\0*\0\0\0\x08", "image"),
        ("a.txt", b"hello", "text"),
        ("README", "für alle".encode(), "text"),
        ("BM.txt", b"BM is a text", "text"),
        ("fake.png", b"not an image", "text"),
        ("a.bin", JUNK, "other"),
        ("a.json", b'{"a": 1}', "other"),
        ("a.json", b'[{"a": 1}]', "table"),
        ("a.csv", b"a\n1\n", "table"),
        ("A.CSV", b"a\n1\n", "table"),
        ("a.tsv", b"a\tb\n1\t2\n", "table"),
        ("a.jsonl", b'{"a": 1}\n', "table"),
    ],
)
def test_kinds(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    found = inspected(tmp_path, name, content)
    assert (found.name, found.kind, found.blob) == (name, kind, BLOB)


def test_the_reviews() -> None:
    found = inspect_input(EXAMPLES / "reviews.csv", "reviews.csv", BLOB)
    assert found.rows == 3708
    assert {one.name: one.kind for one in found.columns} == {
        "id": "category",
        "human_rating": "number",
        "text": "text",
    }
    assert found.columns[0].examples == ("1_1", "1_2", "1_3")


def test_the_cars() -> None:
    found = inspect_input(EXAMPLES / "cars.csv", "cars.csv", BLOB)
    assert found.rows == 406
    assert [one.name for one in found.columns_of("category")] == ["Name", "Year", "Origin"]
    assert {one.name: one.missing for one in found.columns if one.missing} == {
        "Miles_per_Gallon": 8,
        "Horsepower": 6,
    }


def test_a_byte_order_mark_and_quoted_line_ends(tmp_path: Path) -> None:
    found = inspected(tmp_path, "t.csv", '\ufeffname,note\nx,"two\nlines"\ny,\n'.encode())
    assert [one.name for one in found.columns] == ["name", "note"]
    assert found.rows == 2
    assert inspected(tmp_path, "t.jsonl", '\ufeff{"a": 1}\n'.encode()).columns[0].name == "a"


def test_only_the_head_is_judged_but_all_rows_are_counted(tmp_path: Path) -> None:
    body = "".join(f"{number}\n" for number in range(5000)) + "word\n"
    found = inspected(tmp_path, "t.csv", b"n\n" + body.encode())
    assert found.rows == 5001
    assert found.columns[0].kind == "number"


def test_huge_first_rows_are_cut_at_a_whole_row(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": f"{number} words here " * 4000}) + "\n" for number in range(200))
    found = inspected(tmp_path, "t.jsonl", rows.encode())
    assert found.rows == 200
    assert found.columns[0].kind == "text"


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("x", ["", "NA", "n/a", "null", "None", "-", "?"], "empty"),
        ("x", ["1", "-2.5", "+3e5", ".5", "7.", "", "NA"], "number"),
        ("x", [1, 2.5, None], "number"),
        ("x", ["1_1", "1_2"], "category"),
        ("x", ["007", "010"], "category"),
        ("x", ["inf", "1"], "category"),
        ("x", [True, False], "category"),
        ("x", [[1], {"a": 2}], "category"),
        ("x", ["2024-01-31", "1970-01-01"], "category"),
        ("x", ["I like it very much indeed", "no"], "category"),
        ("x", ["I like it very much", "it broke after two days"], "text"),
        ("review", ["love it", "it broke"], "text"),
        ("review_text", ["love it", "it broke"], "text"),
        ("context", ["love it", "it broke"], "category"),
        ("x", ["I do not agree at all", "I do agree with that"] * 20, "category"),
        ("x", ["这个产品非常好我很喜欢它", "质量太差了用了两天就坏了"], "text"),
        ("x", ["red", "green"], "category"),
    ],
)
def test_kinds_of_columns(name: str, cells: list[object], kind: str) -> None:
    (column,) = judge_columns([{name: cell} for cell in cells], [name])
    assert column.kind == kind


def test_examples_are_short_and_differ() -> None:
    (column,) = judge_columns([{"a": "x" * 500}, {"a": "y"}, {"a": "y"}, {}, {"a": "z"}, {"a": "w"}], ["a"])
    assert column.examples == ("x" * 80, "y", "z")
    assert column.missing == 1
