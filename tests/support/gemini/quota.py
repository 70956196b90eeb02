"""Rate windows that the imitation enforces for real, one for each model as at the provider."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from tests.support.gemini.answers import RateLimit

MINUTE_SECONDS = 60.0
_PACIFIC = "America/Los_Angeles"


class Quota:
    """So many requests a minute, and perhaps a day, for each model.

    `time` gives seconds since the Unix epoch; a scaled clock will do. A sliding window opens when its oldest
    request is a minute old, a fixed one on the full minute. The day ends at midnight Pacific time, and its 429
    has no RetryInfo. Counts what was let through (`accepted`), what was not (`refused`), and which of the
    refused came while the client had been told to wait (`sent_while_closed`).
    """

    def __init__(
        self,
        requests_per_minute: int = 60,
        requests_per_day: int | None = None,
        window: Literal["sliding", "fixed"] = "sliding",
        *,
        time: Callable[[], float],
    ) -> None:
        self.requests_per_minute = requests_per_minute
        self.requests_per_day = requests_per_day
        self.window = window
        self.accepted = 0
        self.refused = 0
        self.sent_while_closed = 0
        self._time = time
        self._recent: dict[str, deque[float]] = {}
        self._of_day: dict[str, tuple[float, int]] = {}
        self._told_closed_until: dict[str, float] = {}

    def refusal(self, model: str) -> RateLimit | None:
        """What to answer instead of a reply, or None; either way the request is counted."""
        now = self._time()
        refusal = self._full_day(model, now) or self._full_minute(model, now)
        if now < self._told_closed_until.get(model, -math.inf):
            self.sent_while_closed += 1
        if refusal is None:
            self._take(model, now)
            return None
        self.refused += 1
        seconds = refusal.retry_seconds
        until = next_midnight_pacific(now) if seconds is None else now + seconds
        self._told_closed_until[model] = max(until, self._told_closed_until.get(model, until))
        return refusal

    def _take(self, model: str, now: float) -> None:
        self.accepted += 1
        self._recent.setdefault(model, deque()).append(now)
        ends, count = self._day(model, now)
        self._of_day[model] = (ends, count + 1)

    def _day(self, model: str, now: float) -> tuple[float, int]:
        ends, count = self._of_day.get(model, (-math.inf, 0))
        return (ends, count) if now < ends else (next_midnight_pacific(now), 0)

    def _full_day(self, model: str, now: float) -> RateLimit | None:
        limit = self.requests_per_day
        if limit is None or self._day(model, now)[1] < limit:
            return None
        return RateLimit(per="day", retry_seconds=None, limit=limit)

    def _full_minute(self, model: str, now: float) -> RateLimit | None:
        recent = self._recent.setdefault(model, deque())
        while recent and self._leaves_at(recent[0]) <= now:
            recent.popleft()
        if len(recent) < self.requests_per_minute:
            return None
        # Whole seconds, rounded up: a client that waits exactly this long finds the window open.
        seconds = math.ceil(self._leaves_at(recent[0]) - now)
        return RateLimit(per="minute", retry_seconds=seconds, limit=self.requests_per_minute)

    def _leaves_at(self, taken: float) -> float:
        if self.window == "sliding":
            return taken + MINUTE_SECONDS
        return (taken // MINUTE_SECONDS + 1) * MINUTE_SECONDS


def next_midnight_pacific(now: float) -> float:
    """When the day's quota starts anew, in seconds since the Unix epoch."""
    pacific = ZoneInfo(_PACIFIC)
    tomorrow = datetime.fromtimestamp(now, pacific).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=pacific).timestamp()
