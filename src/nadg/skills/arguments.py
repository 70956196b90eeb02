"""Arguments held against a skill's parameters; each problem is one sentence: the field, the value, the mend."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nadg.domain.errors import UserError
from nadg.domain.skill import Parameter, SkillSpec
from nadg.skills.columns import kind_of

if TYPE_CHECKING:
    import pandas as pd

_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "column": "the name of a column",
    "columns": "a list of column names",
    "strings": "a list of texts",
}


def checked_arguments(spec: SkillSpec, given: Mapping[str, object]) -> dict[str, object]:
    """All arguments, defaults filled in. Raises UserError on the first that does not fit."""
    known = [one.name for one in spec.parameters]
    for name in given:
        if name not in known:
            options = f"its arguments are {', '.join(known)}" if known else "it takes no arguments"
            raise UserError(f"{spec.name}: unknown argument {name!r}{_near(name, known)}; {options}")
    return {one.name: _value(spec.name, one, given) for one in spec.parameters}


def check_columns(spec: SkillSpec, values: Mapping[str, object], head: pd.DataFrame, source: str) -> None:
    """Whether the columns that are named stand in the table and hold what the skill needs. Raises UserError."""
    for parameter in spec.parameters:
        for name in _named_columns(parameter, values.get(parameter.name)):
            place = f"{spec.name}: argument {parameter.name!r}: column {name!r}"
            if name not in head.columns:
                columns = ", ".join(map(repr, head.columns))
                raise UserError(
                    f"{place} is not in {source}{_near(name, head.columns)}; its columns are {columns}"
                )
            _check_kind(parameter, place, name, head, source)


def named_columns(spec: SkillSpec, values: Mapping[str, object]) -> list[str]:
    """Every column that the arguments name, in order, each once."""
    found = (name for one in spec.parameters for name in _named_columns(one, values.get(one.name)))
    return list(dict.fromkeys(found))


def _named_columns(parameter: Parameter, value: object) -> list[str]:
    if parameter.type == "column" and isinstance(value, str) and value:
        return [value]
    if parameter.type == "columns" and isinstance(value, list):
        return [str(one) for one in value]
    return []


def _check_kind(parameter: Parameter, place: str, name: str, head: pd.DataFrame, source: str) -> None:
    kind = kind_of(head[name])
    fits = {
        "any": True,
        "text": kind in ("text", "category"),
        "number": kind == "number",
        "category": kind != "empty",
    }
    if fits[parameter.column_kind]:
        return
    others = [repr(one) for one in head.columns if kind_of(head[one]) == parameter.column_kind]
    options = f"choose {', '.join(others)}" if others else "give a file that has such a column"
    wanted = {"text": "text", "number": "numbers", "category": "categories"}[parameter.column_kind]
    holds = {"number": "numbers", "empty": "nothing"}.get(kind, kind)
    raise UserError(f"{place} of {source} holds {holds}, not {wanted}; {options}")


def _value(skill: str, parameter: Parameter, given: Mapping[str, object]) -> object:
    place = f"{skill}: argument {parameter.name!r}"
    if parameter.name not in given or (given[parameter.name] is None and not parameter.required):
        if parameter.required:
            raise UserError(f"{place} is missing; give {_wanted(parameter)}")
        return parameter.default
    value = given[parameter.name]
    if not _fits(parameter, value):
        raise UserError(f"{place} is {value!r}; give {_wanted(parameter)}")
    if parameter.type == "columns" and isinstance(value, str):
        return [value]
    return int(value) if parameter.type == "integer" and isinstance(value, float) else value


def _fits(parameter: Parameter, value: object) -> bool:
    if parameter.choices:
        return value in parameter.choices
    match parameter.type:
        case "integer":
            return _within(parameter, value) and _is_whole(value)
        case "number":
            return _within(parameter, value)
        case "boolean":
            return isinstance(value, bool)
        case "columns":
            return isinstance(value, str) or (_all_text(value) and bool(value))
        case "strings":
            return _all_text(value)
        case _:
            return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _within(parameter: Parameter, value: object) -> bool:
    """Whether it is a finite number between the bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    low, high = parameter.minimum, parameter.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _all_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _wanted(parameter: Parameter) -> str:
    if parameter.choices:
        return f"one of {', '.join(parameter.choices)}"
    words = _WORDS[parameter.type]
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{words} from {low:g} to {high:g}"
    if low is not None:
        return f"{words} of at least {low:g}"
    return words if high is None else f"{words} of at most {high:g}"


def _near(name: str, known: Iterable[str]) -> str:
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f", did you mean {by_lower[near[0]]!r}?" if near else ""
