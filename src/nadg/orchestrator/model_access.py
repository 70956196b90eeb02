"""What a run needs to use language models: the door, and the account that pays."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from nadg.models.call import Account, Door

DEFAULT_CONCURRENCY = 16
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.S)


class ModelAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Given to a run where a model is configured."""

    door: Door
    account: Account
    concurrency: int = DEFAULT_CONCURRENCY
    """How many questions of its prompt work may be under way at a time."""


def parse_json(text: str) -> Any:
    """The JSON value of an answer, with or without a code fence around it.

    Raises ValueError where there is none, or one that cannot be kept: nested too deeply, whole numbers of more
    than 64 bits, halves of characters.
    """
    fenced = _FENCE.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
        msgspec.json.encode(value)
    except (OverflowError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError(f"it holds a value that cannot be kept: {error}") from error
    return value
