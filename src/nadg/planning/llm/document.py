"""From what a model wrote to a plan document: the JSON in its text, and its liberties with the format undone.

Nothing here judges whether the plan is right; that is `parse_plan`, which names every problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nadg.domain.errors import PlanInvalid
from nadg.domain.problems import Problem
from nadg.models.json_answer import strict_decoder

_ROOT = re.compile(r'\{(?=\s*["}])')
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "texts": {"type": "array", "items": {"type": "string"}},
}
FIELD_TYPES = tuple(_KINDS)
"""What a field of an answer may hold, in the words of `output_fields`."""


def plan_document(text: str) -> object:
    """The plan that a model's answer holds. Raises PlanInvalid where there is no JSON object in it."""
    if not text.strip():
        raise _no_plan("the answer is empty; answer with the plan as one JSON object")
    root = _ROOT.search(text)
    if root is None:
        raise _no_plan("the answer holds no JSON object; answer with the plan as one JSON object and nothing else")
    try:
        document, _ = strict_decoder().raw_decode(text, root.start())
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _no_plan(f"the answer is no JSON at {where} ({error.msg}); mend it there") from error
    except RecursionError:
        raise _no_plan("the answer is nested too deeply; flatten it") from None
    except ValueError as error:
        raise _no_plan(f"the answer is no JSON that can be read: {error}") from error
    return as_written_by_hand(document)


def subtask_document(raw: str) -> object:
    """One subtask out of a stream; None where it is no JSON."""
    try:
        return _subtask(strict_decoder().decode(raw))
    except (ValueError, RecursionError):
        return None


def as_written_by_hand(document: object) -> object:
    """The document in the format of plan files; what is not understood is left as it is."""
    if not isinstance(document, dict):
        return document
    plain = _without_nulls(document)
    if isinstance(plain.get("subtasks"), list):
        plain["subtasks"] = [_subtask(one) for one in plain["subtasks"]]
    if plain.get("answer") == "":
        del plain["answer"]
    return plain


def _subtask(raw: object) -> object:
    if not isinstance(raw, dict):
        return raw
    plain = _without_nulls(raw)
    if isinstance(plain.get("work"), dict):
        plain["work"] = _work(plain["work"])
    if isinstance(plain.get("foreach"), dict):
        plain["foreach"] = _without_nulls(plain["foreach"])
        if not plain["foreach"]:
            del plain["foreach"]
    if isinstance(plain.get("limits"), dict):
        plain["limits"] = _without_nulls(plain["limits"])
    return plain


def _work(raw: dict[str, Any]) -> dict[str, Any]:
    work = _without_nulls(raw)
    if "args" in work:
        args = _pairs(_parsed(work["args"]))
        work["args"] = _without_nulls(args) if isinstance(args, dict) else args
    if "output_schema" in work:
        work["output_schema"] = _parsed(work["output_schema"])
    fields = work.get("output_fields")
    if isinstance(fields, list) and "output_schema" not in work:
        schema = _schema_of(fields)
        if schema is not None:
            del work["output_fields"]
            work |= {"output_schema": schema} if schema else {}
    return work


def _schema_of(fields: list[object]) -> dict[str, Any] | None:
    """`output_fields` as JSON Schema; empty where there are none, None where one cannot be understood."""
    properties: dict[str, Any] = {}
    for field in fields:
        if not isinstance(field, dict) or not isinstance(field.get("name"), str):
            return None
        kind = field.get("type", "text")
        if not isinstance(kind, str) or kind not in _KINDS:
            return None
        properties[field["name"]] = _property(kind, field)
    if not properties:
        return {}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _property(kind: str, field: dict[str, Any]) -> dict[str, Any]:
    made = dict(_KINDS[kind])
    if field.get("choices") and kind == "text":
        made["enum"] = field["choices"]
    elif field.get("choices") and kind == "texts":
        made["items"] = {"type": "string", "enum": field["choices"]}
    if field.get("description"):
        made["description"] = field["description"]
    return made


def _pairs(args: object) -> object:
    """Name-value pairs as a mapping, as servers want them that take no open objects."""
    if not isinstance(args, list):
        return args
    found: dict[str, object] = {}
    for one in args:
        if not isinstance(one, dict) or set(one) != {"name", "value"} or not isinstance(one["name"], str):
            return args
        found[one["name"]] = one["value"]
    return found


def _parsed(value: object) -> object:
    """The JSON object or list that a text holds; the value itself where it holds none."""
    if not isinstance(value, str):
        return value
    try:
        found = strict_decoder().decode(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, dict | list) else value


def _without_nulls(raw: dict[str, Any]) -> dict[str, Any]:
    """Fields left out: strict servers have a model write null for them."""
    return {key: value for key, value in raw.items() if value is not None}


def _no_plan(message: str) -> PlanInvalid:
    return PlanInvalid([Problem(place="plan", message=message)])
