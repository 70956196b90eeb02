"""The rate governor: nobody sends a request to a model before it is their turn.

One is shared by everything at the master. It has no task of its own: of those who wait for a model, one
sleeps until the next opening, lets go whoever may, and hands the sleeping on when it goes itself.
"""

from __future__ import annotations

import asyncio
import datetime
import time as system_time
from collections.abc import Awaitable, Callable, Mapping

from nadg.domain.clock import Clock
from nadg.models.call import RateLimited
from nadg.models.lane import Lane, Waiter
from nadg.models.limits import RateLimits
from nadg.models.quota_day import DayClosed
from nadg.models.windows import Sent

__all__ = ["Admission", "DayClosed", "Governor"]

TOLD_FROM_SECONDS = 2.0
"""A longer wait is told to the one who waits."""
_SHORTEST_SLEEP_SECONDS = 0.001
"""A timer may go off a rounding error early."""


class Admission:
    """Leave to send one request now."""

    def __init__(self, lane: Lane, sent: Sent) -> None:
        self._lane, self._sent = lane, sent
        self._settled = False

    def settle(self, tokens: int) -> None:
        """It is over, and took so many tokens; none: it was not sent, or refused, and its place is free again.

        Only the first time counts.
        """
        if not self._settled:
            self._settled = True
            self._lane.settle(self._sent, max(0, tokens))


class Governor:
    """Keeps to the limits of each model, those that only its refusals tell included; fair between runs.

    Models are full names, such as `google:gemini-3.5-flash-lite`. Counts of the day begin anew with the process:
    the provider's own refusal then says that the day is over.
    """

    def __init__(
        self,
        limits: Mapping[str, RateLimits],
        *,
        clock: Clock,
        time: Callable[[], float] = system_time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits, self._clock = dict(limits), clock
        self._time, self._sleep = time, sleep
        self._lanes: dict[str, Lane] = {}

    async def admit(
        self, model: str, run_id: str, tokens: int, on_wait: Callable[[float], None] | None = None
    ) -> Admission:
        """Return when a request of about so many tokens (in and out) may be sent to `model`, and count it.

        `on_wait` is told the expected seconds, once, where they are more than a moment. Raises DayClosed.
        """
        lane = self._lane(model)
        waiter = Waiter(run_id, tokens)
        lane.queue.add(waiter)
        try:
            sent = await self._turn(lane, waiter, on_wait)
        except BaseException:
            lane.leave(waiter, unused=True)
            raise
        lane.leave(waiter, unused=False)
        return Admission(lane, sent)

    def refused(self, model: str, error: RateLimited) -> None:
        """Learn from a 429: the limit that it names, how long it says to wait, or that the day is over."""
        self._lane(model).refused(error, self._time())

    def day_closed_until(self, model: str) -> datetime.datetime | None:
        """When the daily quota starts anew (UTC), where it is used up."""
        closed = self._lane(model).day.closed()
        return None if closed is None else closed.until

    def _lane(self, model: str) -> Lane:
        if model not in self._lanes:
            self._lanes[model] = Lane(model, self._limits.get(model, RateLimits()), self._clock)
        return self._lanes[model]

    async def _turn(self, lane: Lane, waiter: Waiter, on_wait: Callable[[float], None] | None) -> Sent:
        while True:
            lane.serve(self._time())
            if waiter.closed is not None:
                raise waiter.closed
            if waiter.sent is not None:
                return waiter.sent
            if on_wait is not None and not waiter.told:
                self._tell(lane, waiter, on_wait)
            await self._news(lane, waiter)

    def _tell(self, lane: Lane, waiter: Waiter, on_wait: Callable[[float], None]) -> None:
        seconds = lane.expected_seconds(waiter, self._time())
        if seconds > TOLD_FROM_SECONDS:
            waiter.told = True
            on_wait(seconds)

    async def _news(self, lane: Lane, waiter: Waiter) -> None:
        """Wait until the waiter is woken or, for the one who keeps the time, until the lane opens."""
        woken = waiter.asleep()
        if lane.timekeeper is not None:
            await woken
            return
        now = self._time()
        lane.timekeeper = waiter
        try:
            await self._sleep_until(lane.opens_at(lane.queue.head or waiter, now) - now, woken)
        finally:
            lane.timekeeper = None

    async def _sleep_until(self, seconds: float, woken: asyncio.Future[None]) -> None:
        alarm = asyncio.ensure_future(self._sleep(max(_SHORTEST_SLEEP_SECONDS, seconds)))
        try:
            await asyncio.wait((alarm, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            await asyncio.wait((alarm,))
