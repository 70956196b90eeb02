"""A skill's parameters, read from its function's signature, annotations and docstring."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from nadg.domain.skill import Parameter, ParameterType, Takes
from nadg.skills.marks import Column, ImageFile, ImageFiles, Needs, Range, RawTable, RawTables, Table, Tables

_TAKES: Mapping[object, Takes] = {
    Table: "table",
    RawTable: "table",
    Tables: "tables",
    RawTables: "tables",
    ImageFile: "image",
    ImageFiles: "images",
    Needs: "needs",
}
_SIMPLE: Mapping[object, ParameterType] = {str: "string", int: "integer", float: "number", bool: "boolean"}


class Signature:
    """What a function says of itself: the data it takes, its parameters, its docstring in two parts."""

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self.name = name
        hints = get_type_hints(function, include_extras=True)
        declared = list(inspect.signature(function).parameters.values())
        self.data_type: object = hints.get(declared[0].name) if declared else None
        self.takes: Takes = _TAKES.get(self.data_type, "nothing")
        arguments = declared if self.takes == "nothing" else declared[1:]
        self.parameters = tuple(self._parameter(one, hints) for one in arguments)
        self.picked = {one.name: kind for one in arguments if (kind := _picked(hints.get(one.name))) is not None}
        self.summary, self.description = _docstring(name, function)

    def _parameter(self, declared: inspect.Parameter, hints: Mapping[str, Any]) -> Parameter:
        if declared.kind in (declared.VAR_POSITIONAL, declared.VAR_KEYWORD, declared.POSITIONAL_ONLY):
            raise TypeError(f"{self.name}: parameter {declared.name!r} must be an ordinary named one")
        if declared.name not in hints:
            raise TypeError(f"{self.name}: parameter {declared.name!r} has no type annotation")
        hint, marks = _unwrapped(hints[declared.name])
        column = next((mark for mark in marks if isinstance(mark, Column)), None)
        bounds = next((mark for mark in marks if isinstance(mark, Range)), Range())
        choices = tuple(str(choice) for choice in get_args(hint)) if get_origin(hint) is Literal else ()
        required = declared.default is inspect.Parameter.empty
        return Parameter(
            name=declared.name,
            type=self._type(declared.name, hint, column),
            description=next((mark for mark in marks if isinstance(mark, str)), ""),
            required=required,
            default=None if required else _plain_default(declared.default),
            choices=choices,
            minimum=bounds.minimum,
            maximum=bounds.maximum,
            column_kind=column.kind if column else "any",
        )

    def _type(self, name: str, hint: object, column: Column | None) -> ParameterType:
        several = get_origin(hint) in (list, tuple)
        if several and get_args(hint)[0] is str:
            return "columns" if column else "strings"
        if column and hint is str:
            return "column"
        if get_origin(hint) is Literal:
            return "string"
        if not column and hint in _SIMPLE:
            return _SIMPLE[hint]
        raise TypeError(
            f"{self.name}: parameter {name!r} has type {hint!r}; "
            "use str, int, float, bool, list[str] or Literal, and `| None` for one that may be left out"
        )


def _unwrapped(hint: Any) -> tuple[Any, tuple[object, ...]]:
    """The bare type and the marks of `Annotated[...]`, with an optional `| None` taken away."""
    marks: tuple[object, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        marks = tuple(rest)
    if get_origin(hint) in (Union, types.UnionType):
        bare = [one for one in get_args(hint) if one is not type(None)]
        if len(bare) == 1:
            inner, more = _unwrapped(bare[0])
            return inner, marks + more
    return hint, marks


def _picked(hint: Any) -> Column | None:
    _, marks = _unwrapped(hint)
    return next((mark for mark in marks if isinstance(mark, Column) and mark.pick), None)


def _plain_default(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _docstring(name: str, function: Callable[..., object]) -> tuple[str, str]:
    text = inspect.getdoc(function)
    if not text:
        raise TypeError(f"{name}: the function has no docstring; its first line is what people and planners read")
    summary, _, rest = text.partition("\n")
    return summary.strip(), rest.strip()
