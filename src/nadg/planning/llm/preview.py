"""What a model is shown of the inputs: enough to plan with, never whole files, all of it bounded.

What it says of a file is as untrusted as the file: names, columns and cells may hold anything. It belongs
into a block of data (`nadg.models.data_block`), and names and cells stand as JSON text, so that a reader can
tell where one ends.
"""

from __future__ import annotations

import collections
import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

from nadg.domain.inputs import Column, InputFile
from nadg.domain.rows import BYTE_ORDER_MARK, delimiter_of, is_row_file
from nadg.planning.llm.pixels import pixel_size
from nadg.planning.prompt_sizes import ReadHead

HEAD_BYTES = 64 << 10
MAX_CHARACTERS = 60_000
"""Of all inputs together."""
MAX_DETAILED_CHARACTERS = 40_000
"""After this many, inputs get a line each."""
_SHOWN_ROWS = 3
_CELL_CHARACTERS = 120
_NAME_CHARACTERS = 300
_ROW_CHARACTERS = 4_000
_DETAILED_COLUMNS = 60
_NAMED_COLUMNS = 300
_COLUMN_NAME_CHARACTERS = 12_000
_TEXT_CHARACTERS = 600


def preview_inputs(inputs: Sequence[InputFile], read_head: ReadHead) -> str:
    """All inputs, in order; the later ones in less detail where there are many."""
    lines: list[str] = []
    used = 0
    for index, one in enumerate(inputs):
        detailed = used < MAX_DETAILED_CHARACTERS
        found = [_headline(one), *(_details(one, read_head) if detailed else ())]
        size = sum(len(line) + 1 for line in found)
        if used + size > MAX_CHARACTERS:
            lines.append(_rest(inputs[index:]))
            break
        lines += found
        used += size
    return "\n".join(lines)


def _headline(one: InputFile) -> str:
    rows = f", {one.rows:,} rows" if one.rows is not None else ""
    size = f", {one.blob.size:,} bytes" if one.blob.size else ""
    return f"file {_quoted(one.name, _NAME_CHARACTERS)}: {one.kind}{size}{rows}"


def _rest(others: Sequence[InputFile]) -> str:
    kinds = collections.Counter(f"{one.kind} {_quoted(PurePath(one.name).suffix, 20)}" for one in others)
    counted = ", ".join(f"{count:,} of kind {kind}" for kind, count in kinds.most_common(12))
    return f"and {len(others):,} more files: {counted}"


def _details(one: InputFile, read_head: ReadHead) -> Iterator[str]:
    try:
        head = read_head(one, HEAD_BYTES)[:HEAD_BYTES]
    except OSError:
        head = b""
    match one.kind:
        case "table":
            yield from _columns(one.columns)
            yield from _first_rows(one, head)
        case "image":
            if (size := pixel_size(head)) is not None:
                yield f"  {size[0]:,} x {size[1]:,} pixels"
        case _:
            if head and b"\0" not in head:
                yield f"  begins with: {_quoted(_decoded(head), _TEXT_CHARACTERS)}"


def _columns(columns: Sequence[Column]) -> Iterator[str]:
    """The first columns with what they hold, more of them by name only, the others by number."""
    detailed = columns[:_DETAILED_COLUMNS]
    names = (f"  column {_quoted(one.name, _NAME_CHARACTERS)}: {_held(one)}" for one in detailed)
    yield from itertools.takewhile(_within(_COLUMN_NAME_CHARACTERS), names)
    further = columns[_DETAILED_COLUMNS:]
    if further:
        quoted = (_quoted(one.name, _NAME_CHARACTERS) for one in further[:_NAMED_COLUMNS])
        listed = list(itertools.takewhile(_within(_COLUMN_NAME_CHARACTERS // 2), quoted))
        yield f"  {len(further):,} more columns: {', '.join(listed)}{' …' if len(listed) < len(further) else ''}"


def _held(column: Column) -> str:
    missing = f", {column.missing:,} missing" if column.missing else ""
    return f"{column.kind}{missing}"


def _first_rows(one: InputFile, head: bytes) -> Iterator[str]:
    for record in itertools.islice(_records(one, head), _SHOWN_ROWS):
        cells = (_quoted(cell, _CELL_CHARACTERS) for cell in record)
        shown = list(itertools.takewhile(_within(_ROW_CHARACTERS), cells))
        yield f"  row: {', '.join(shown)}{' …' if len(shown) < len(record) else ''}"


def _records(one: InputFile, head: bytes) -> Iterator[list[str]]:
    """Rows at the begin of a table; the last one may be cut. Other formats show no rows but their columns."""
    text = _decoded(head)
    if one.name.lower().endswith(".jsonl"):
        yield from ([line] for line in text.split("\n") if line.strip())
    elif is_row_file(one.name):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(one.name))
        try:
            yield from itertools.islice((record for record in reader if record), 1, None)
        except csv.Error:
            return
    else:
        examples = [list(column.examples) for column in one.columns[:_DETAILED_COLUMNS]]
        for index in range(max(map(len, examples), default=0)):
            yield [cells[index] if index < len(cells) else "" for cells in examples]


def _decoded(head: bytes) -> str:
    return head.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace")


def _quoted(text: str, most: int) -> str:
    """As JSON text on one line, cut where it is long."""
    cut = text if len(text) <= most else text[:most] + "…"
    return json.dumps(cut, ensure_ascii=False)


def _within(most: int) -> Callable[[str], bool]:
    """Says yes until the texts that it was asked of are longer than `most` together."""
    used = 0

    def fits(text: str) -> bool:
        nonlocal used
        used += len(text)
        return used <= most

    return fits
