"""Limits by name, as settings, options and plans give them: only what is named changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nadg.domain.checks.fields import LIMITS
from nadg.domain.limits import Limits
from nadg.domain.plan import Plan

NamedLimits = tuple[tuple[str, float | int], ...]
"""Some of the fields of `Limits`, each once, with values in range."""


def read_limits(texts: Iterable[str]) -> NamedLimits:
    """Read `NAME=VALUE` one by one. Raises ValueError, naming the value and what would be right."""
    found: dict[str, float | int] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ValueError(f"{_shown(text)} is no limit; write NAME=VALUE, such as memory_megabytes=4096")
        if name not in LIMITS:
            raise ValueError(f"there is no limit {_shown(name)}; the limits are {', '.join(LIMITS)}")
        if name in found:
            raise ValueError(f"{name} is given twice; give it once")
        found[name] = _value(name, value)
    return tuple(found.items())


def split_limits(text: str) -> list[str]:
    """The parts of a list separated by commas, as an environment variable holds it."""
    return [part.strip() for part in text.split(",") if part.strip()]


def changed_limits(base: Limits, *changes: NamedLimits) -> Limits:
    """`base` with what is named changed; later changes win."""
    fields: dict[str, Any] = {name: value for one in changes for name, value in one}
    return Limits(**{**vars(base), **fields})


def document_with_limits(document: object, defaults: NamedLimits) -> object:
    """A plan document in which subtasks have `defaults` for the limits that they do not set.

    Whatever does not look like a plan is left as it is: to say so is for those who check it.
    """
    subtasks = document.get("subtasks") if isinstance(document, Mapping) else None
    if not defaults or not isinstance(document, Mapping) or not isinstance(subtasks, list):
        return document
    return {**document, "subtasks": [_with_defaults(one, dict(defaults)) for one in subtasks]}


def plan_with_limits(plan: Plan, defaults: NamedLimits) -> Plan:
    """A plan whose maker set no limits, with `defaults`."""
    if not defaults:
        return plan
    update = {"limits": changed_limits(Limits(), defaults)}
    return plan.model_copy(update={"subtasks": tuple(one.model_copy(update=update) for one in plan.subtasks)})


def _with_defaults(subtask: object, defaults: Mapping[str, float | int]) -> object:
    if not isinstance(subtask, dict):
        return subtask
    given = subtask.get("limits", {})
    return {**subtask, "limits": {**defaults, **given}} if isinstance(given, dict) else subtask


def _value(name: str, text: str) -> float | int:
    try:
        limits = TypeAdapter(Limits).validate_python({name: text})
    except ValidationError:
        raise ValueError(f"{name}={_shown(text)} does not fit; give {LIMITS[name]}") from None
    value: float | int = getattr(limits, name)
    return value


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
