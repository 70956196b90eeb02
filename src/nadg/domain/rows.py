"""Tables as consecutive records: where a batch of rows starts and ends, and how to read one batch.

A CSV record may span lines, so only a CSV reader knows where one ends. The offsets are found once, by
the reader of the standard library itself; a shard then reads its own bytes and nothing else.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import msgspec

from nadg.domain.errors import UserError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class RowBatch(msgspec.Struct, frozen=True):
    """Rows `first` to `first + count` stand in bytes `start` to `stop` (exclusive)."""

    first: int
    count: int
    start: int
    stop: int


class TableShape(msgspec.Struct, frozen=True):
    """Where the header record ends, how many data rows follow, and where batches of them stand."""

    header_stop: int
    rows: int
    batches: tuple[RowBatch, ...]


def is_row_file(name: str) -> bool:
    """Whether this name's kind can be cut into rows."""
    return name.lower().endswith((".csv", ".tsv", ".jsonl"))


def delimiter_of(name: str) -> str:
    """The field separator that a file name stands for."""
    return "\t" if name.lower().endswith(".tsv") else ","


def table_shape(name: str, lines: Iterable[bytes], shard_rows: int) -> TableShape:
    """Cut a table into batches of `shard_rows` rows; `lines` are its lines with their ends.

    Raises UserError where the bytes are not UTF-8 or the CSV reader refuses them. Blank lines are no rows.
    """
    ends = _record_ends(name, lines)
    header_stop = 0 if name.lower().endswith(".jsonl") else next(ends, 0)
    batches: list[RowBatch] = []
    first, count, start, stop = 0, 0, header_stop, header_stop
    for end in ends:
        count, stop = count + 1, end
        if count == shard_rows:
            batches.append(RowBatch(first, count, start, stop))
            first, count, start = first + count, 0, stop
    if count:
        batches.append(RowBatch(first, count, start, stop))
    return TableShape(header_stop, first + count, tuple(batches))


def _record_ends(name: str, lines: Iterable[bytes]) -> Iterator[int]:
    """The offset just after each record that is not blank."""
    position = 0
    pending: list[str] = []
    last: list[str] = []

    def decoded() -> Iterator[str]:
        nonlocal position
        for line in lines:
            try:
                text = line.decode("utf-8-sig" if position == 0 else "utf-8")
            except UnicodeDecodeError as error:
                marked = position == 0 and line.startswith(BYTE_ORDER_MARK)
                at = position + error.start + marked * len(BYTE_ORDER_MARK)
                raise UserError(
                    f"{name}: byte {error.object[error.start]:#04x} at offset {at} is not UTF-8 (tried utf-8); "
                    "save the file as UTF-8"
                ) from error
            position += len(line)
            pending.append(text)
            yield text

    try:
        if name.lower().endswith(".jsonl"):
            for text in decoded():
                if text.strip():
                    yield position
        else:
            reader = csv.reader(decoded(), delimiter=delimiter_of(name))
            for record in reader:
                last, pending = pending, []
                if record:
                    yield position
            _require_closed_quotes(name, last, reader.line_num)
    except csv.Error as error:
        raise UserError(f"{name}: not a readable table ({error}); give a CSV file with a header") from error


def _require_closed_quotes(name: str, last: list[str], line_number: int) -> None:
    """Raise UserError where the last record ends within quotes: it may have swallowed the rows after it."""
    try:
        list(csv.reader(last, delimiter=delimiter_of(name), strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            began = line_number - len(last) + 1
            raise UserError(
                f"{name}: a quote that is opened in the record of line {began} is never closed; close it"
            ) from error


def read_rows(name: str, header: bytes, body: bytes) -> list[dict[str, str]]:
    """The rows of one batch as dicts. JSON lines keep their own types; CSV cells are text.

    A short CSV record gives empty text for the cells it lacks. Raises UserError on a JSON line that
    is no object.
    """
    if name.lower().endswith(".jsonl"):
        text = body.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
        return [_json_row(name, line) for line in text.split("\n") if line.strip()]
    text = header.removeprefix(BYTE_ORDER_MARK).decode("utf-8") + body.decode("utf-8")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(name))
    records = [record for record in reader if record]
    names = records[0] if records else []
    return [dict(zip_longest(names, row[: len(names)], fillvalue="")) for row in records[1:]]


def _json_row(name: str, line: str) -> dict[str, str]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{name}: a line is not JSON ({error}); give one object per line") from error
    if not isinstance(row, dict):
        raise UserError(f"{name}: a line holds {type(row).__name__}; give one object per line")
    return row
