"""What an input file is: table, text, image or something else, judged by its content.

Only the first rows are looked at closely; the rows of a table are counted by the reader that also cuts
them, so that what is promised here holds when the work is divided.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path

from nadg.domain.blob import BlobRef
from nadg.domain.errors import UserError
from nadg.domain.inputs import Column, InputFile
from nadg.domain.rows import BYTE_ORDER_MARK, delimiter_of, is_row_file, read_rows, table_shape
from nadg.planning.columns import judge_columns

HEAD_ROWS = 1_000
HEAD_BYTES = 4 << 20
_PROBE_BYTES = 64 << 10
_TEXT_FILES = (".txt", ".text", ".md", ".log")
_MOST_JSON_BYTES = 64 << 20
_MOST_CONTROL_SHARE = 0.02
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x0b\x08"))
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


def inspect_input(path: Path, name: str, blob: BlobRef) -> InputFile:
    """Judge a file that is called `name`. Raises UserError with one sentence where it cannot be used."""
    head = _read_head(path, name)
    if _is_image(head):
        if is_row_file(name):
            raise UserError(f"{name}: the content is an image, not a table; give it the name of an image")
        return InputFile(name=name, blob=blob, kind="image")
    if is_row_file(name):
        columns, rows = _table(path, name, head)
        return InputFile(name=name, blob=blob, kind="table", columns=columns, rows=rows)
    if name.lower().endswith(".json"):
        return _json_file(path, name, blob)
    if name.lower().endswith(_TEXT_FILES):
        _refuse_binary(name, head)
        _check_encoding(path, name)
        return InputFile(name=name, blob=blob, kind="text")
    return InputFile(name=name, blob=blob, kind="text" if _is_text(head) else "other")


def _read_head(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_PROBE_BYTES)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name the files in it one by one") from None
    except PermissionError:
        raise UserError(f"{path}: may not be read by this user; change its permissions") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give another file") from error
    if not head:
        raise UserError(f"{name}: the file is empty; give one with content")
    return head


def _is_image(head: bytes) -> bool:
    """By the magic bytes of PNG, JPEG, GIF, WebP, TIFF and BMP."""
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")):
        return True
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    return head[:2] == b"BM" and head[6:10] == b"\0\0\0\0"


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
    return b"\0" not in head


def _refuse_binary(name: str, head: bytes) -> None:
    """Raise UserError where the first bytes are no text in any encoding."""
    if head.startswith(_WIDE_MARKS):
        raise UserError(f"{name}: the text is UTF-16, by its first bytes; save the file as UTF-8 (tried utf-8)")
    if (at := head.find(b"\0")) >= 0:
        raise UserError(f"{name}: holds binary data (byte 0x00 at offset {at}), not text; give a text file")
    if len(head) - len(head.translate(None, _CONTROL)) > len(head) * _MOST_CONTROL_SHARE:
        at = next(index for index, byte in enumerate(head) if byte in _CONTROL)
        raise UserError(
            f"{name}: holds binary data (byte {head[at]:#04x} at offset {at}), not text; give a text file"
        )


def _check_encoding(path: Path, name: str) -> None:
    """Raise UserError, with byte and offset, where the file is not UTF-8."""
    position = 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                at = position + error.start
                raise UserError(
                    f"{name}: byte {line[error.start]:#04x} at offset {at} is not UTF-8 (tried utf-8); "
                    "save the file as UTF-8"
                ) from error
            position += len(line)


def _table(path: Path, name: str, head: bytes) -> tuple[tuple[Column, ...], int]:
    _refuse_binary(name, head)
    try:
        with path.open("rb") as lines:
            shape = table_shape(name, lines, HEAD_ROWS)
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error}); give another file") from error
    if not shape.rows:
        what = "holds no rows" if shape.header_stop == 0 else "has a header but no rows below it"
        raise UserError(f"{name}: {what}; give a table with at least one row")
    first = shape.batches[0]
    with path.open("rb") as file:
        header = file.read(shape.header_stop)
        body = file.read(min(first.stop - first.start, HEAD_BYTES))
    if len(body) < first.stop - first.start:
        body = body[: body.rfind(b"\n") + 1] or body
    if shape.header_stop:
        names = _header_names(name, header)
        rows = read_rows(name, header, body)
    else:
        rows = read_rows(name, b"", body.removeprefix(BYTE_ORDER_MARK))
        names = list(dict.fromkeys(key for row in rows for key in row))
        if not names:
            raise UserError(f"{name}: its objects have no keys, so there are no columns; give objects with keys")
    return judge_columns(rows, names), shape.rows


def _header_names(name: str, header: bytes) -> list[str]:
    """The column names. Raises UserError where one is empty or stands twice."""
    text = header.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
    names = next(row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(name)) if row)
    seen: dict[str, int] = {}
    for number, column in enumerate(names, start=1):
        if not column.strip():
            raise UserError(f"{name}: column {number} has no name in the header; give it one")
        if column in seen:
            raise UserError(
                f"{name}: columns {seen[column]} and {number} are both called {column!r}; rename one of them"
            )
        seen[column] = number
    other = next((mark for mark in (";", "\t", "|", ",") if mark in names[0]), None)
    if len(names) == 1 and other is not None:
        wanted = "tabs" if delimiter_of(name) == "\t" else "commas"
        raise UserError(f"{name}: the header {names[0][:60]!r} is one column; separate the columns by {wanted}")
    return names


def _json_file(path: Path, name: str, blob: BlobRef) -> InputFile:
    """A JSON file is a table where it is a list of objects."""
    if path.stat().st_size > _MOST_JSON_BYTES:
        size = _MOST_JSON_BYTES >> 20
        raise UserError(f"{name}: is larger than {size} MiB; give JSON lines (.jsonl), which can be cut into rows")
    try:
        document = json.loads(path.read_bytes().removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: byte {error.object[error.start]:#04x} at offset {error.start} is not UTF-8 (tried "
            f"{error.encoding}); save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: is not JSON ({error}); mend the file") from error
    if not isinstance(document, list) or not document or not all(isinstance(row, dict) for row in document):
        return InputFile(name=name, blob=blob, kind="other")
    rows = document[:HEAD_ROWS]
    names = dict.fromkeys(itertools.chain.from_iterable(rows))
    return InputFile(name=name, blob=blob, kind="table", columns=judge_columns(rows, names), rows=len(document))
