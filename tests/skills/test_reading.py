"""Files as tables: unfit ones get one clear sentence, and a batch of rows reads as the whole file does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nadg.domain.errors import UserError
from nadg.domain.rows import read_rows, table_shape
from nadg.skills.columns import kind_of, number_columns, number_in, pick_column, typed
from nadg.skills.marks import Column
from nadg.skills.reading import raw_of_rows, read_raw

Write = Callable[[str, str | bytes], Path]

UNFIT: list[tuple[str, bytes, str]] = [
    ("a.csv", b"", "a.csv: the file is empty; give one with a header and at least one row of data"),
    ("a.csv", b"id,text\n", "a.csv: the file holds no rows; give one with a header"),
    (
        "a.csv",
        b"\x89PNG\r\n\x1a\n",
        "a.csv: byte 0x89 at offset 0 is not UTF-8 (tried utf-8); save the file as UTF-8",
    ),
    ("a.csv", b"id,text\n1,caf\xe9\n", "a.csv: byte 0xe9 at offset 13 is not UTF-8 (tried utf-8)"),
    (
        "a.csv",
        "id,text\n".encode("utf-16"),
        "holds zero bytes, so it is no text (tried utf-8); it looks like UTF-16",
    ),
    ("a.csv", b"id,text\n1,a\0b\n", "a.csv: holds zero bytes"),
    ("a.csv", b'id,text\n1,"' + b"x" * 200_000 + b'"\n', "a.csv: not a readable table (field larger than"),
    ("a.jsonl", b'{"a": 1}\n[2]\n', "a.jsonl: line 2 holds no object; give one object per line"),
    ("a.jsonl", b'{"a": 1}\n{"a":\n', "a.jsonl: line 2 is not JSON"),
    ("a.json", b'{"a": 1}', "a.json: the JSON is no list of objects; give one object per row"),
    ("a.json", b"[1", "a.json: not JSON"),
    ("a.png", b"x", "a.png: not a table; give a file that ends in .csv"),
]


@pytest.mark.parametrize(("name", "content", "says"), UNFIT)
def test_an_unfit_file_gets_one_sentence(file: Write, name: str, content: bytes, says: str) -> None:
    with pytest.raises(UserError) as refused:
        read_raw(name, file(name, content))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_byte_order_mark_of_a_spreadsheet_is_no_part_of_the_first_name(file: Write) -> None:
    assert list(read_raw("a.csv", file("a.csv", "\ufeffid,text\n1,a\n".encode())).columns) == ["id", "text"]


def test_other_kinds_of_files(file: Write) -> None:
    assert read_raw("a.tsv", file("a.tsv", "a\tb\n1\t2,3\n")).to_dict("records") == [{"a": "1", "b": "2,3"}]
    assert list(read_raw("a.txt", file("a.txt", "one line\n\n  another\n"))["text"]) == ["one line", "another"]
    lines = '{"a": 1, "b": null}\n\n{"a": "x", "c": [1, true]}\n'
    expected = [{"a": "1", "b": "", "c": ""}, {"a": "x", "b": "", "c": "[1, true]"}]
    assert read_raw("a.jsonl", file("a.jsonl", lines)).to_dict("records") == expected
    whole = json.dumps([{"a": 1, "b": None}, {"a": "x", "c": [1, True]}])
    assert read_raw("a.json", file("a.json", whole)).to_dict("records") == expected


cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=12)
)


@given(tables, st.integers(1, 5))
def test_batches_of_a_csv_read_as_the_whole_does(tmp_path_factory: Any, rows: list[list[str]], size: int) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([f"column {place}" for place in range(len(rows[0]))])
    writer.writerows(rows)
    content = out.getvalue().encode()
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_bytes(content)
    shape = table_shape("t.csv", io.BytesIO(content), size)
    if not shape.rows:
        return
    header = content[: shape.header_stop]
    batches = [read_rows("t.csv", header, content[one.start : one.stop]) for one in shape.batches]
    joined = raw_of_rows([row for batch in batches for row in batch])
    whole = read_raw("t.csv", path)
    assert joined.equals(whole)
    assert list(joined.dtypes) == list(whole.dtypes)


def test_short_and_long_records_are_filled_and_cut(file: Write) -> None:
    table = read_raw("a.csv", file("a.csv", "a,b\n1\n1,2,3\n\n4,5\n"))
    assert table.to_dict("records") == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}, {"a": "4", "b": "5"}]


def test_only_the_first_rows_are_read_where_more_are_not_wanted(file: Write) -> None:
    path = file("a.csv", b"a\n1\n2\n3\n\xff\n")
    assert len(read_raw("a.csv", path, 2)) == 2


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e4", ""], "number"),
        (["1_1", "1_2"], "category"),
        (["007", "010"], "category"),
        (["2020-01-31", "NA"], "date"),
        (["a whole sentence of words", "another long one here"], "text"),
        (["电池续航非常好而且价格便宜", "屏幕太暗了我不喜欢这个手机"], "text"),
        (["red", "blue"], "category"),
        (["", "n/a", " - "], "empty"),
    ],
)
def test_what_a_column_holds(values: list[str], kind: str) -> None:
    assert kind_of(raw_of_rows([{"x": value} for value in values])["x"]) == kind


def test_types_are_judged_from_the_cells() -> None:
    rows = [
        {"whole": "1", "part": "1.5", "gap": "2", "day": "2020-01-31", "word": "a"},
        {"whole": "2", "part": "2", "gap": "?", "day": "", "word": "null"},
    ]
    table = typed(raw_of_rows(rows))
    assert [table[name].dtype.kind for name in ("whole", "part", "gap", "day")] == ["i", "f", "f", "M"]
    assert table.isna().sum().to_dict() == {"whole": 0, "part": 0, "gap": 1, "day": 1, "word": 1}


def test_a_date_that_cannot_be_stays_text() -> None:
    table = typed(raw_of_rows([{"day": "2020-01-31"}, {"day": "2020-02-31"}]))
    assert list(table["day"]) == ["2020-01-31", "2020-02-31"]


def test_identifiers_are_no_amounts() -> None:
    rows = [
        {"order_id": str(n * 7), "count": str(n), "userId": str(n * n), "price": str(n * n + 0.5)}
        for n in range(5)
    ]
    assert number_columns(typed(raw_of_rows(rows))) == ["price"]


@pytest.mark.parametrize("text", ["1_1", "0x10", "inf", "nan", "1,000", "", "١"])
def test_what_is_no_number(text: str) -> None:
    assert number_in(text) is None


def test_the_column_that_fits_best_is_chosen() -> None:
    texts = {"note": "some words in a row here", "review": "fine and good to have"}
    rows = [{"id": str(n), **texts, "kind": "ab"[n % 2]} for n in range(6)]
    head = raw_of_rows(rows)
    assert pick_column(Column("text"), head, "a.csv", "column") == "review"
    assert pick_column(Column("category"), head, "a.csv", "by") == "kind"
    assert pick_column(Column("any"), head, "a.csv", "x") == "id"
    with pytest.raises(UserError) as refused:
        pick_column(Column("number"), head, "a.csv", "value")
    assert str(refused.value) == (
        "a.csv: no column holds numbers; its columns are 'id', 'note', 'review', 'kind': "
        "name one with the argument 'value' or give another file"
    )
