"""Turns what the code set as `result` into JSON, or says which part of it has no JSON form.

Plain data goes through a fast encoder. Only where that refuses, or where a null may stand for a NaN, is
the value walked: NaN and infinities become null, numpy and pandas values become numbers, text and lists.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import os
import sys
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

MAX_DEPTH: Final = 200
_LEAVES: Final = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
    bytes,
    bytearray,
    memoryview,
)
_SEQUENCES: Final[tuple[type, ...]] = (list, tuple, collections.deque, range, type({}.keys()), type({}.values()))
_TOO_DEEP: Final = f"result is nested deeper than {MAX_DEPTH} levels; give flatter data"


class Unfit(Exception):
    """The value has no JSON form; the message is one sentence that names the place and the type."""


class Encoded(NamedTuple):
    """A result as JSON; `length` is that of a list, None for any other value."""

    data: bytes
    length: int | None
    notes: tuple[str, ...] = ()


def encode_result(value: object) -> Encoded:
    """Raises Unfit."""
    try:
        data = msgspec.json.encode(value)
    except RecursionError as error:
        raise Unfit(_TOO_DEEP) from error
    except (TypeError, ValueError, OverflowError):
        data = b"null"
    if b"null" not in data:
        return Encoded(data, len(value) if isinstance(value, list | tuple) else None)
    return _walked(value)


def _walked(value: object) -> Encoded:
    walk = _Walk()
    plain = walk.plain(value, "result", 0)
    try:
        text = json.dumps(plain, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except ValueError as error:
        raise Unfit(f"result has no JSON form: {error}") from error
    data, halves = _as_utf8(text)
    notes = []
    if walk.not_finite:
        notes.append(f"{walk.not_finite} NaN or infinite number(s) in the result became null")
    if halves:
        notes.append(f"{halves} character(s) in the result that have no UTF-8 form became ?")
    return Encoded(data, len(plain) if isinstance(plain, list) else None, tuple(notes))


def _as_utf8(text: str) -> tuple[bytes, int]:
    """The text as UTF-8, and how many halves of surrogate pairs in it had to become `?`."""
    try:
        return text.encode("utf-8"), 0
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
        return data, len(data) - len(text.encode("utf-8", "ignore"))


class _Walk:
    """One pass over a value, making it plain; counts the numbers that JSON cannot hold."""

    def __init__(self) -> None:
        self.not_finite = 0

    def plain(self, value: object, place: str, depth: int) -> object:
        if value is None or value is True or value is False:
            return value
        if depth > MAX_DEPTH:
            raise Unfit(_TOO_DEEP)
        if isinstance(value, enum.Enum):
            return self.plain(value.value, place, depth + 1)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return self._number(float(value))
        if isinstance(value, Mapping):
            return {
                _key(key, place): self.plain(item, f"{place}[{_short(key)}]", depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, _SEQUENCES):
            return self._list(list(cast(Iterable[object], value)), place, depth)
        if isinstance(value, set | frozenset):
            return self._list(_ordered(value), place, depth)
        return self._other(value, place, depth)

    def _list(self, values: Sequence[object], place: str, depth: int) -> list[object]:
        return [self.plain(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(values)]

    def _number(self, number: float) -> float | None:
        if math.isfinite(number):
            return number
        self.not_finite += 1
        return None

    def _other(self, value: Any, place: str, depth: int) -> object:
        """Dates, paths, records, and what numpy and pandas have."""
        if _is_pandas_missing(value):
            return None
        if isinstance(value, _LEAVES):
            exact = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
            return msgspec.to_builtins(exact)
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self.plain(fields, place, depth + 1)
        if isinstance(value, msgspec.Struct):
            return self.plain(msgspec.structs.asdict(value), place, depth + 1)
        if isinstance(value, type):
            raise _unfit(value, place)
        if hasattr(value, "model_dump"):
            return self.plain(value.model_dump(), place, depth + 1)
        if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m") and hasattr(value, "astype"):
            return self._dates(value.astype(str).tolist())
        if hasattr(value, "to_dict") and hasattr(value, "columns"):
            return self.plain(value.to_dict(orient="records"), place, depth + 1)
        if hasattr(value, "tolist"):
            return self.plain(value.tolist(), place, depth + 1)
        if type(value).__module__.partition(".")[0] == "pandas" and not callable(value):
            return str(value)
        raise _unfit(value, place)

    def _dates(self, text: object) -> object:
        if isinstance(text, list):
            return [self._dates(one) for one in text]
        return None if text in ("NaT", "nan") else text


def _unfit(value: object, place: str) -> Unfit:
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return Unfit(f"{place} is {article} {kind}, which has no JSON form; give text, numbers, lists or dicts")


def _key(key: Any, place: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool | int | float):
        return "null" if key is None else json.dumps(key)
    if isinstance(key, datetime.date):
        return key.isoformat()
    if isinstance(key, enum.Enum):
        return _key(key.value, place)
    if isinstance(key, os.PathLike | uuid.UUID | decimal.Decimal):
        return str(key)
    if hasattr(key, "item") and getattr(key, "shape", None) == ():
        return _key(key.item(), place)
    raise Unfit(f"{place} has a key that is a {type(key).__name__}; JSON keys are text, so use str(key)")


def _short(key: object) -> str:
    text = repr(key) if isinstance(key, str | int) else type(key).__name__
    return text if len(text) <= 40 else text[:37] + "..."


def _ordered(values: Collection[Any]) -> list[object]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _is_pandas_missing(value: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is pandas.NaT or value is pandas.NA)
