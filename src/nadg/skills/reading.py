"""Files as tables of text cells, whole or their first rows, with one clear sentence where a file is no table."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nadg.domain.errors import UserError
from nadg.domain.rows import delimiter_of

if TYPE_CHECKING:
    import pandas as pd

LINE_FILES = (".txt", ".text", ".md", ".log")
TABLE_FILES = (".csv", ".tsv", ".jsonl", ".json", *LINE_FILES)
TEXT_COLUMN = "text"
"""The only column of a plain text file, one row per line."""


def is_table_file(name: str) -> bool:
    """Whether this kind of file can be read as a table."""
    return name.lower().endswith(TABLE_FILES)


def read_raw(name: str, path: Path, most_rows: int | None = None) -> pd.DataFrame:
    """The table in a file, every cell as text; `name` stands in messages. Raises UserError on unfit content."""
    if not is_table_file(name):
        raise UserError(f"{name}: not a table; give a file that ends in {', '.join(TABLE_FILES)}")
    frame = _frame(_columns(name, path, most_rows))
    if frame.empty:
        raise UserError(f"{name}: the file holds no rows; give one with a header and at least one row of data")
    return frame


def raw_of_rows(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """The same table of text cells from rows that were already read."""
    return _frame(_transposed(rows))


def cell_text(value: object) -> str:
    """A JSON value as a cell of a text file: nothing is empty, text stays itself, the rest is JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _frame(columns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(dict(columns), columns=list(columns), dtype="str")


def _columns(name: str, path: Path, most_rows: int | None) -> dict[str, list[str]]:
    lowered = name.lower()
    if lowered.endswith(".json"):
        return _transposed(itertools.islice(_json_records(name, "".join(_lines(name, path))), most_rows))
    lines = _lines(name, path)
    if lowered.endswith(".jsonl"):
        return _transposed(itertools.islice(_json_lines(name, lines), most_rows))
    if lowered.endswith(LINE_FILES):
        kept = (line.strip() for line in lines if line.strip())
        return {TEXT_COLUMN: list(itertools.islice(kept, most_rows))}
    return _csv_columns(name, lines, most_rows)


def _lines(name: str, path: Path) -> Iterator[str]:
    """The decoded lines. The byte order mark that spreadsheets write is taken away."""
    position = 0
    with path.open("rb") as file:
        for line in file:
            if b"\0" in line:
                raise UserError(f"{name}: holds zero bytes, so it is no text (tried utf-8); {_mend(line)}")
            try:
                yield line.decode("utf-8" if position else "utf-8-sig")
            except UnicodeDecodeError as error:
                mark = 3 if position == 0 and line.startswith(b"\xef\xbb\xbf") else 0
                at = position + mark + error.start
                raise UserError(
                    f"{name}: byte {error.object[error.start]:#04x} at offset {at} is not UTF-8 (tried utf-8); "
                    + _mend(line)
                ) from error
            position += len(line)
    if position == 0:
        raise UserError(f"{name}: the file is empty; give one with a header and at least one row of data")


def _mend(line: bytes) -> str:
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it looks like UTF-16: save the file as UTF-8"
    return "save the file as UTF-8 text"


def _csv_columns(name: str, lines: Iterable[str], most_rows: int | None) -> dict[str, list[str]]:
    """Columns as the standard library's DictReader sees them: short records are filled, long ones cut."""
    try:
        records = (record for record in csv.reader(lines, delimiter=delimiter_of(name)) if record)
        header = next(records, [])
        width = len(header)
        filled = ((record + [""] * (width - len(record)))[:width] for record in records)
        cells = list(itertools.islice(filled, most_rows))
    except csv.Error as error:
        raise UserError(f"{name}: not a readable table ({error}); give a CSV file with a header") from error
    return dict(zip(header, map(list, zip(*cells, strict=True)), strict=False))


def _json_lines(name: str, lines: Iterable[str]) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{name}: line {number} is not JSON ({error}); give one object per line") from error
        if not isinstance(row, dict):
            raise UserError(f"{name}: line {number} holds no object; give one object per line")
        yield row


def _json_records(name: str, text: str) -> Iterator[Mapping[str, object]]:
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise UserError(f"{name}: not JSON ({error}); give a list of objects") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{name}: the JSON is no list of objects; give one object per row")
    yield from rows


def _transposed(rows: Iterable[Mapping[str, object]]) -> dict[str, list[str]]:
    """Rows as columns, in the order in which their names first appear; a name a row lacks is empty text."""
    columns: dict[str, list[str]] = {}
    for before, row in enumerate(rows):
        for name, value in row.items():
            columns.setdefault(str(name), [""] * before).append(cell_text(value))
        for cells in columns.values():
            if len(cells) == before:
                cells.append("")
    return columns
