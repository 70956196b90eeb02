"""Column types that mean the same on every database."""

from __future__ import annotations

import datetime

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

_ESCAPE = "\x1a"
"""The sign that once stood for what cannot be shown. No text that people write has it, and few have a zero."""


class AnyText(TypeDecorator[str]):
    """Text with any sign in it. PostgreSQL takes no zero, so there it is kept as an escape, and read back."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name != "postgresql" or ("\0" not in value and _ESCAPE not in value):
            return value
        return value.replace(_ESCAPE, _ESCAPE * 2).replace("\0", f"{_ESCAPE}0")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or _ESCAPE not in value or dialect.name != "postgresql":
            return value
        whole = (part.replace(f"{_ESCAPE}0", "\0") for part in value.split(_ESCAPE * 2))
        return _ESCAPE.join(whole)


class UtcDateTime(TypeDecorator[datetime.datetime]):
    """A moment with its zone: kept in UTC, read back with its zone set, also where the database keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a stored time needs a zone, and {value.isoformat()} has none")
        return value.astimezone(datetime.UTC)

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)
