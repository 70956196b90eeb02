"""Answers held against a JSON Schema that a stranger may have written: nothing is fetched, nothing runs away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

UNSUPPORTED = ("pattern", "patternProperties", "$dynamicRef", "$recursiveRef")
"""Regular expressions can take for ever, and such references hide loops."""
_DEEPEST = 40


def flaw_of_schema(schema: dict[str, Any]) -> str:
    """Why it cannot be used, in one sentence that says what would be right; empty where it can."""
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        place = "".join(f"[{part!r}]" for part in error.absolute_path)
        return f"it is no JSON Schema{' at ' + place if place else ''}: {error.message[:200]}; mend it there"
    except RecursionError:
        return "it is nested too deeply; flatten it"
    for keyword, value in _keywords(schema):
        if keyword in UNSUPPORTED:
            return f"{keyword} is not supported; use enum, or leave it out"
        if keyword == "$ref" and not (isinstance(value, str) and value.startswith("#/")):
            return f"a $ref to {str(value)[:60]!r} is not followed; write out what it stands for"
    return ""


def schema_problem(value: object, schema: dict[str, Any]) -> str:
    """Why a value does not fit a JSON Schema, in one sentence; empty where it does.

    Raises ValueError where the schema cannot be used.
    """
    import jsonschema
    import referencing
    from referencing.exceptions import Unresolvable

    flaw = flaw_of_schema(schema)
    if flaw:
        raise ValueError(f"output_schema: {flaw}")
    try:
        # An empty registry: the default one would fetch what a $ref points to.
        validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
        error = next(iter(validator.iter_errors(value)), None)
    except Unresolvable as unresolved:
        raise ValueError(f"output_schema: a $ref leads nowhere ({str(unresolved)[:100]}); mend it") from unresolved
    except RecursionError:
        raise ValueError("output_schema: it refers to itself without end; flatten it") from None
    if error is None:
        return ""
    place = "".join(f"[{part!r}]" for part in error.absolute_path)
    return f"the answer{place} does not fit the schema: {error.message[:300]}"


def _keywords(schema: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    """Every key that may be a keyword; names of properties are none."""
    if depth > _DEEPEST:
        return
    if isinstance(schema, list):
        for one in schema:
            yield from _keywords(one, depth + 1)
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield key, value
            named = key in ("properties", "$defs", "definitions", "dependentSchemas") and isinstance(value, dict)
            if key not in ("enum", "const", "default", "examples"):
                yield from _keywords(list(value.values()) if named else value, depth + 1)
