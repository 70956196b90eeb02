"""JSON as models write it: read strictly, for what is lenient here is wrong where the value is used."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.S)
_MOST_DIGITS = 400


def parse_json(text: str) -> Any:
    """The JSON value of an answer, with or without a code fence around it.

    Raises ValueError where there is none, or one that cannot be kept: nested too deeply, halves of characters,
    and what `strict_decoder` refuses.
    """
    fenced = _FENCE.match(text)
    try:
        value = strict_decoder().decode(fenced.group(1) if fenced else text)
        msgspec.json.encode(value)
    except (OverflowError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError(f"it holds a value that cannot be kept: {error}") from error
    return value


def strict_decoder() -> json.JSONDecoder:
    """Its ValueErrors say what to do. Refuses a key that stands twice, `NaN` and the like, and endless numbers."""
    return json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_refuse, parse_int=_whole)


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} stands twice in one object; keep one")
        found[key] = value
    return found


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is not JSON; use null or text")


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number has too many digits; write it as text in quotes")
    return int(digits)
