"""Whether an argument's value fits its parameter; columns are looked up in the table where it is known."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nadg.domain.checks.places import Path, Suggestions, listed, shown
from nadg.domain.inputs import Column, InputFile
from nadg.domain.skill import Parameter

_NOUNS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "column": "the name of a column",
    "columns": "a list of column names",
    "strings": "a list of texts",
}
Wrong = tuple[Path, str]
"""Where inside the argument, and what is wrong there."""


def wrong_with(
    parameter: Parameter, value: object, table: InputFile | None, suggest: Suggestions
) -> Iterator[Wrong]:
    """What is wrong with one argument; `table` is None where its columns cannot be known yet."""
    if value is None and not parameter.required:
        return
    if not _is_of_type(parameter, value):
        yield (), f"{shown(value)} does not fit; give {_wanted(parameter)}"
    elif isinstance(value, list):
        for index, element in enumerate(value):
            if message := _wrong_element(parameter, element, table, suggest):
                yield (index,), message
                return  # one wrong element tells enough of a long list
    elif message := _wrong_element(parameter, value, table, suggest):
        yield (), message


def _is_of_type(parameter: Parameter, value: object) -> bool:
    match parameter.type:
        case "string" | "column":
            return isinstance(value, str)
        case "columns" if isinstance(value, str):
            return True
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "boolean":
            return isinstance(value, bool)
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _wrong_element(parameter: Parameter, value: object, table: InputFile | None, suggest: Suggestions) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        too_small = parameter.minimum is not None and value < parameter.minimum
        too_large = parameter.maximum is not None and value > parameter.maximum
        return f"{shown(value)} does not fit; give {_wanted(parameter)}" if too_small or too_large else ""
    if not isinstance(value, str):
        return ""
    if parameter.choices and value not in parameter.choices:
        return f"{shown(value)} is no choice; give {_wanted(parameter)}"
    chosen_later = parameter.type == "column" and value == parameter.default
    if parameter.type in ("column", "columns") and table is not None and not chosen_later:
        return _wrong_column(parameter, value, table, suggest)
    return ""


def _wrong_column(parameter: Parameter, name: str, table: InputFile, suggest: Suggestions) -> str:
    names = [column.name for column in table.columns]
    column = next((one for one in table.columns if one.name == name), None)
    if column is None:
        near = suggest.nearest(name, names, 1)
        hint = f"did you mean {shown(near[0])}?" if near else f"its columns are {listed(names, 20)}"
        return f"{shown(name)} is no column of {table.name}; {hint}"
    if holds(column, parameter.column_kind):
        return ""
    fitting = [one.name for one in table.columns if holds(one, parameter.column_kind)]
    mend = f"name one of {listed(fitting)}" if fitting else f"{table.name} has none that would"
    wanted = "no value at all" if column.kind == "empty" else f"{column.kind}, not {parameter.column_kind}"
    return f"{shown(name)} holds {wanted}; {mend}"


def holds(column: Column, kind: str) -> bool:
    """Whether a column that a person named serves as one of this kind: numbers group as well as words do."""
    match kind:
        case "number":
            return column.kind == "number"
        case "text":
            return column.kind in ("text", "category")
        case "category":
            return column.kind != "empty"
    return True


def _wanted(parameter: Parameter) -> str:
    if parameter.choices:
        several = "a list of these: " if parameter.type == "strings" else "one of "
        return several + listed(parameter.choices, 20)
    low, high = (None if bound is None else f"{bound:g}" for bound in (parameter.minimum, parameter.maximum))
    noun = _NOUNS[parameter.type]
    if low is not None and high is not None:
        return f"{noun} from {low} to {high}"
    if low is not None:
        return f"{noun} of at least {low}"
    return f"{noun} of at most {high}" if high is not None else noun
