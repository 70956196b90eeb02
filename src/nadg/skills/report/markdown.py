"""The few Markdown forms that a report uses, safe against whatever text is put into them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from nadg.skills.wording import number, shortened

_SPECIAL = re.compile(r"([\\`*\[\]<|~$]|(?<![^\W_])_|_(?![^\W_]))")
"""An underscore within a word, as in `per_cent`, marks nothing and stays readable."""
_BLOCK_START = re.compile(r"^(?=[#>]|[+-]\s)|(?<=^\d)(?=[.)]\s)")
_NUMERIC = re.compile(r"[–−+-]?[\d,.]*\d(?:[eE][+-]?\d+)?%?|–")
_CELL_LENGTH = 220


def escaped(text: str) -> str:
    """Text that reads as it is: nothing in it becomes a mark, a link or HTML."""
    flat = " ".join(text.split())
    return _BLOCK_START.sub(r"\\", _SPECIAL.sub(r"\\\1", flat), count=1)


def cell(value: object) -> str:
    """A value as a table cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    return escaped(shortened(str(value), _CELL_LENGTH)) or " "


def table(columns: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table; columns of numbers stand to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    ends = [
        all(_NUMERIC.fullmatch(row[place]) for row in cells if place < len(row)) for place in range(len(columns))
    ]
    rules = ["---:" if to_the_right and cells else "---" for to_the_right in ends]
    lines = [_row([escaped(str(one)) for one in columns]), _row(rules), *(_row(row) for row in cells)]
    return "\n".join(lines)


def picture(caption: str, link: str) -> str:
    return f"![{escaped(caption)}]({quote(link)})"


def file_link(name: str, link: str) -> str:
    return f"[{escaped(name)}]({quote(link)})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
