"""Tables cut into batches of rows: no row is lost, split or doubled, however wild the cells are."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.errors import UserError
from nadg.domain.rows import TableShape, delimiter_of, is_row_file, read_rows, table_shape

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NAMES = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=4, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(NAMES)
    row = st.lists(CELLS, min_size=len(names), max_size=len(names)).filter(any)
    return names, draw(st.lists(row, max_size=12))


def lines_of(data: bytes) -> list[bytes]:
    return io.BytesIO(data).readlines()


def written(names: list[str], rows: list[list[str]], delimiter: str, ending: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    return text.getvalue().encode()


def read_all(name: str, data: bytes, shape: TableShape) -> list[dict[str, str]]:
    header = data[: shape.header_stop]
    return [row for batch in shape.batches for row in read_rows(name, header, data[batch.start : batch.stop])]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("t.csv", b"a\ncaf\xe9\n", "byte 0xe9 at offset 5 is not UTF-8"),
        ("t.csv", b"\xff\xfea\0", "byte 0xff at offset 0 is not UTF-8"),
        ("t.csv", b"\xef\xbb\xbfa,\xe9\n", "byte 0xe9 at offset 5 is not UTF-8"),
        ("t.jsonl", b'{"a": 1}\n\xa0\n', "byte 0xa0 at offset 9"),
        ("t.csv", b'a\n"' + b"x" * 200_000, "not a readable table"),
    ],
)
def test_unreadable_bytes_are_told_with_their_offset(name: str, data: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        table_shape(name, lines_of(data), 10)


@pytest.mark.parametrize(
    ("body", "sentence"), [(b"[1]\n", "a line holds list"), (b"{nonsense}\n", "a line is not JSON")]
)
def test_a_line_that_is_no_object_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_rows("t.jsonl", b"", body)


@given(
    tables(),
    st.integers(1, 5),
    st.sampled_from([("t.csv", ","), ("t.tsv", "\t")]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_row_comes_once_and_in_order(
    table: tuple[list[str], list[list[str]]], shard_rows: int, kind: tuple[str, str], ending: str
) -> None:
    names, rows = table
    name, delimiter = kind
    data = written(names, rows, delimiter, ending)
    shape = table_shape(name, lines_of(data), shard_rows)
    expected = list(csv.DictReader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, restval=""))
    assert shape.rows == len(expected)
    assert read_all(name, data, shape) == expected
    assert all(batch.count == shard_rows for batch in shape.batches[:-1])
    assert [batch.first for batch in shape.batches] == list(range(0, shape.rows, shard_rows))


@given(
    st.lists(st.dictionaries(CELLS, st.none() | st.integers() | CELLS), max_size=12),
    st.integers(1, 5),
)
def test_json_lines_keep_their_types(rows: list[dict[str, object]], shard_rows: int) -> None:
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    shape = table_shape("t.jsonl", lines_of(data), shard_rows)
    assert shape.header_stop == 0
    assert read_all("t.jsonl", data, shape) == rows


def test_a_byte_order_mark_belongs_to_no_column() -> None:
    data = b"\xef\xbb\xbfname,n\nx,1\n"
    shape = table_shape("t.csv", lines_of(data), 5)
    assert read_all("t.csv", data, shape) == [{"name": "x", "n": "1"}]
    lines = b'\xef\xbb\xbf{"n": 1}\n'
    typed: list[dict[str, object]] = [{"n": 1}]
    assert read_all("t.jsonl", lines, table_shape("t.jsonl", lines_of(lines), 5)) == typed


def test_blank_lines_and_ragged_rows() -> None:
    data = b"a,b\n\n1\n\n1,2,3\n"
    shape = table_shape("t.csv", lines_of(data), 1)
    assert shape.rows == 2
    assert read_all("t.csv", data, shape) == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]


def test_a_table_without_rows_has_no_batches() -> None:
    assert table_shape("t.csv", [b"a,b\n"], 5) == TableShape(4, 0, ())
    assert table_shape("t.csv", [], 5) == TableShape(0, 0, ())


@pytest.mark.parametrize(
    ("name", "is_one", "delimiter"),
    [
        ("a.csv", True, ","),
        ("A.CSV", True, ","),
        ("a.tsv", True, "\t"),
        ("a.jsonl", True, ","),
        ("a.json", False, ","),
    ],
)
def test_kinds_by_name(name: str, is_one: bool, delimiter: str) -> None:
    assert is_row_file(name) is is_one
    assert delimiter_of(name) == delimiter


def test_blank_lines_before_the_header_are_no_header() -> None:
    content = b"\n\na,b\n1,2\n\n3\n"
    shape = table_shape("t.csv", content.splitlines(keepends=True), 10)
    (batch,) = shape.batches
    rows = read_rows("t.csv", content[: shape.header_stop], content[batch.start : batch.stop])
    assert rows == [{"a": "1", "b": "2"}, {"a": "3", "b": ""}]


@pytest.mark.parametrize("body", ['1,"2\n3,4\n5,6\n', '1,2\n3,"', '1,2\n"3\n\n4,5'])
def test_a_quote_that_is_never_closed_swallows_no_rows(body: str) -> None:
    with pytest.raises(UserError, match=r"opened in the record of line [23] is never closed"):
        table_shape("t.csv", lines_of(f"a,b\n{body}".encode()), 2)


@pytest.mark.parametrize("body", ['1,5" pipe\n', '1,"5"" pipe"\n', '1,"2\n3"\n', '1,"a"b\n'])
def test_other_quotes_are_left_alone(body: str) -> None:
    assert table_shape("t.csv", lines_of(f"a,b\n{body}".encode()), 2).rows == 1
