"""Daily quotas: they are counted by the Pacific day, as Google does."""

from __future__ import annotations

import datetime
import zoneinfo

from nadg.domain.clock import Clock

_FALLBACK = datetime.timezone(datetime.timedelta(hours=-8))


class DayClosed(Exception):
    """The daily quota of a model is used up; nothing is sent to it before `until` (UTC)."""

    def __init__(self, model: str, until: datetime.datetime) -> None:
        super().__init__(f"the daily quota of {model} is used up until {until:%Y-%m-%d %H:%M} UTC")
        self.model = model
        self.until = until


def next_reset(now: datetime.datetime) -> datetime.datetime:
    """The midnight Pacific time that follows `now`, in UTC; an hour late in summer where no zone data is there."""
    zone = _pacific()
    tomorrow = now.astimezone(zone).date() + datetime.timedelta(days=1)
    return datetime.datetime.combine(tomorrow, datetime.time(), zone).astimezone(datetime.UTC)


def _pacific() -> datetime.tzinfo:
    try:
        return zoneinfo.ZoneInfo("America/Los_Angeles")
    except zoneinfo.ZoneInfoNotFoundError:
        return _FALLBACK


class QuotaDay:
    """One model's requests of the day, and whether its day is over."""

    def __init__(self, model: str, limit: int | None, clock: Clock) -> None:
        self._model, self._limit, self._clock = model, limit, clock
        self._ends = next_reset(clock.now())
        self._count = 0
        self._closed = False

    def closed(self) -> DayClosed | None:
        """Why nothing more may be sent today, if so."""
        self._turn()
        full = self._limit is not None and self._count >= self._limit
        return DayClosed(self._model, self._ends) if full or self._closed else None

    def close(self) -> None:
        """The provider says that the quota of today is used up."""
        self._turn()
        self._closed = True

    def add(self, requests: int) -> None:
        self._turn()
        self._count = max(0, self._count + requests)

    def _turn(self) -> None:
        now = self._clock.now()
        if now >= self._ends:
            self._ends, self._count, self._closed = next_reset(now), 0, False
