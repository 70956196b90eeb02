"""Values of numpy, pandas and the standard library as plain JSON data."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def plain(value: object) -> Json:
    """The same value in JSON's own types; what is no number (NaN, infinity, NaT, NA) becomes None.

    Raises TypeError for a value that has no sensible JSON form.
    """
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    if type(value).__name__ == "NAType":
        return None
    if getattr(value, "ndim", None) == 0 and callable(unboxed := getattr(value, "item", None)):
        return plain(unboxed())  # a numpy scalar, or an array without dimensions
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(one) for one in value]
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


def _moment(value: datetime.date | datetime.time) -> Json:
    return None if value != value else value.isoformat()  # only NaT differs from itself


_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[..., Json]], ...] = (
    ((bool, type(None)), lambda value: value),
    (str, str),
    (int, int),
    (float, lambda value: float(value) if math.isfinite(value) else None),
    (Mapping, lambda value: {str(key): plain(one) for key, one in value.items()}),
    (msgspec.Struct, lambda value: {name: plain(getattr(value, name)) for name in value.__struct_fields__}),
    (Path, str),
    ((datetime.date, datetime.time), _moment),
    ((set, frozenset), lambda value: [plain(one) for one in sorted(value, key=str)]),
)
