"""What the columns of a table hold, judged by its first rows."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from nadg.domain.inputs import Column

Kind = Literal["text", "number", "category", "empty"]

_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?"})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_CODE = re.compile(r"[+-]?0\d")
"""Digits that are no amount: 007, 01234."""
_TEXT_NAME = re.compile(
    r"(?:^|[_\W])(?:text|review|comment|message|feedback|body|content|sentence|description|tweet|post)s?$", re.I
)
_SENTENCE_WORDS = 4
_UNSPACED_SCRIPT = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese set no spaces between words."""
_CHARACTERS_PER_WORD = 3
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 80


def judge_columns(rows: Sequence[Mapping[str, object]], names: Iterable[str]) -> tuple[Column, ...]:
    """One Column per name, in order."""
    return tuple(_judge(name, [row.get(name) for row in rows]) for name in names)


def _judge(name: str, cells: Sequence[object]) -> Column:
    present = [cell for cell in cells if not _is_missing(cell)]
    texts = [cell.strip() if isinstance(cell, str) else str(cell) for cell in present]
    distinct = list(dict.fromkeys(texts))
    return Column(
        name=name,
        kind=_kind(name, present, texts, len(distinct)),
        missing=len(cells) - len(present),
        examples=tuple(text[:_EXAMPLE_CHARACTERS] for text in distinct[:_EXAMPLES]),
    )


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING)


def _kind(name: str, present: Sequence[object], texts: Sequence[str], distinct: int) -> Kind:
    if not present:
        return "empty"
    if all(_is_number(cell) for cell in present):
        return "number"
    if not all(isinstance(cell, str) for cell in present):
        return "category"
    typical_words = statistics.median(_words(text) for text in texts)
    repeats = len(texts) >= 20 and distinct <= len(texts) // 5
    if typical_words >= _SENTENCE_WORDS and not repeats:
        return "text"
    return "text" if _TEXT_NAME.search(name) and not repeats and typical_words > 1 else "category"


def _words(text: str) -> int:
    """Words, counting scripts without spaces by their characters."""
    return len(text.split()) + len(_UNSPACED_SCRIPT.findall(text)) // _CHARACTERS_PER_WORD


def _is_number(cell: object) -> bool:
    if isinstance(cell, str):
        stripped = cell.strip()
        return _NUMBER.fullmatch(stripped) is not None and not _CODE.match(stripped)
    return isinstance(cell, int | float) and not isinstance(cell, bool)
