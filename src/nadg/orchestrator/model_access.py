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
    """The JSON value of an answer, with or without a code fence around it. Raises ValueError."""
    fenced = _FENCE.match(text)
    return json.loads(fenced.group(1) if fenced else text)


def schema_problem(value: object, schema: dict[str, Any]) -> str:
    """Why a value does not fit a JSON Schema, in one sentence; empty where it does.

    Raises ValueError where the schema itself is none.
    """
    import jsonschema

    try:
        jsonschema.validate(value, schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"output_schema is no JSON Schema: {error.message}") from error
    except jsonschema.ValidationError as error:
        place = "".join(f"[{part!r}]" for part in error.absolute_path)
        return f"the answer{place} does not fit the schema: {error.message[:300]}"
    return ""
