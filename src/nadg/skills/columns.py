"""What a column of text cells holds, and which column a skill that was told none should take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from nadg.domain.errors import UserError
from nadg.skills.marks import Column

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["text", "number", "date", "category", "empty"]

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?"})
"""Cells that stand for no value, in lower case and without spaces around them."""
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
PADDED = re.compile(r"[+-]?0[0-9]")
"""Codes such as 007 and 01234: digits, but no amount."""
_DATE = r"[0-9]{4}-\d{2}(?:-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?)?"
_IDENTIFIER_NAME = re.compile(
    r"(?:^|[_\s-])(?:id|ids|index|idx|key|uuid|guid|nr|rowid)$|^(?:row|unnamed.*)$", re.I
)
_CAMEL_IDENTIFIER = re.compile(r"[a-z]I[Dd]$")
_TEXT_NAMES = ("text", "review", "comment", "message", "feedback", "body", "content", "sentence", "description",
               "tweet", "post", "summary", "title")  # fmt: skip
_SENTENCE_WORDS = 4
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = rf"[{_UNSPACED}]{{1,3}}|[^\s{_UNSPACED}]+"
"""Words; of scripts that set no spaces between them (Thai, Japanese, Chinese …) every three characters."""
_SAMPLE_GROUPS = 30


def is_missing(cell: str) -> bool:
    """Whether a cell of text stands for no value."""
    return cell.strip().lower() in MISSING


def number_in(cell: str) -> float | None:
    """The number that a cell holds, None for anything else."""
    stripped = cell.strip()
    if NUMBER.fullmatch(stripped) is None or PADDED.match(stripped):
        return None
    return float(stripped)


def missing_cells(raw: pd.Series) -> pd.Series:
    """Which cells of a raw column stand for no value."""
    return raw.str.strip().str.lower().isin(MISSING)


def kind_of(raw: pd.Series) -> Kind:
    """What a raw column holds, missing cells left aside."""
    cells = raw[~missing_cells(raw)].str.strip()
    if cells.empty:
        return "empty"
    if cells.str.fullmatch(NUMBER.pattern).all() and not cells.str.match(PADDED.pattern).any():
        return "number"
    if cells.str.fullmatch(_DATE).all():
        return "date"
    return "text" if (cells.str.count(_WORD)).mean() >= _SENTENCE_WORDS else "category"


def typed(raw: pd.DataFrame) -> pd.DataFrame:
    """The table with numbers as numbers and ISO dates as dates; missing cells are missing values."""
    import pandas as pd

    return pd.DataFrame({name: _typed_column(raw[name]) for name in raw.columns}, index=raw.index)


def _typed_column(raw: pd.Series) -> pd.Series:
    import pandas as pd

    kind = kind_of(raw)
    cells = raw.str.strip().mask(missing_cells(raw))
    if kind == "number":
        numbers = cells.astype("float64")
        whole = numbers.notna().all() and (numbers % 1 == 0).all() and numbers.abs().max() < 2**53
        return numbers.astype("int64") if whole else numbers
    if kind == "date":
        dates = pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
        return cells if dates.isna().sum() > cells.isna().sum() else dates
    return cells


def is_identifier_name(name: str) -> bool:
    """Whether a column's name says that it only names its rows."""
    return bool(_IDENTIFIER_NAME.search(name) or _CAMEL_IDENTIFIER.search(name))


def number_columns(table: pd.DataFrame) -> list[str]:
    """The columns of a typed table with amounts in them: numbers, identifiers left out, in file order."""
    found = [name for name in table.columns if table[name].dtype.kind in "iuf" and table[name].notna().any()]
    return [name for name in found if not _counts_rows(name, table[name])]


def _counts_rows(name: str, numbers: pd.Series) -> bool:
    if is_identifier_name(name):
        return True
    steps = numbers.diff().iloc[1:]
    return len(numbers) >= 3 and bool((steps == 1).all())


def pick_column(wanted: Column, head: pd.DataFrame, source: str, argument: str) -> str:
    """The column of the table's first rows that fits best. Raises UserError where none fits."""
    if candidates := _candidates(wanted, head):
        return candidates[0]
    columns = ", ".join(map(repr, head.columns))
    needed = {"text": "text (sentences)", "number": "numbers", "category": "categories (values that repeat)"}
    raise UserError(
        f"{source}: no column holds {needed[wanted.kind]}; its columns are {columns}: "
        f"name one with the argument {argument!r} or give another file"
    )


def _candidates(wanted: Column, head: pd.DataFrame) -> list[str]:
    match wanted.kind:
        case "text":
            return _text_columns(head)
        case "number":
            return number_columns(typed(head))
        case "category":
            return _category_columns(head)
        case "any":
            return [str(name) for name in head.columns]


def _text_columns(head: pd.DataFrame) -> list[str]:
    """Those with sentences in them, and those whose name says so; a telling name first, then the longest."""
    ranked: list[tuple[int, float, str]] = []
    for name in head.columns:
        kind = kind_of(head[name])
        rank = next((place for place, word in enumerate(_TEXT_NAMES) if word in name.lower()), len(_TEXT_NAMES))
        says_so = name.lower().rstrip("s") in _TEXT_NAMES and kind == "category"
        if kind == "text" or says_so:
            ranked.append((rank, -float(head[name].str.len().mean()), name))
    return [name for _, _, name in sorted(ranked)]


def _category_columns(head: pd.DataFrame) -> list[str]:
    """Those whose values repeat, words before numbers, in file order."""
    ranked: list[tuple[int, str]] = []
    for name in head.columns:
        kind, present = kind_of(head[name]), head[name][~missing_cells(head[name])]
        repeats = 2 <= present.nunique() <= min(_SAMPLE_GROUPS, max(2, len(present) * 2 // 3))
        if repeats and present.duplicated().any() and kind in ("category", "number", "date"):
            ranked.append((0 if kind == "category" else 1, name))
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
