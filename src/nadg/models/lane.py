"""One model's queue, its last minute and what is known of its limits; it waits for nothing itself."""

from __future__ import annotations

import asyncio

from nadg.domain.clock import Clock
from nadg.models.call import RateLimited
from nadg.models.fair_queue import FairQueue
from nadg.models.limits import RateLimits
from nadg.models.pace import Pace
from nadg.models.quota_day import DayClosed, QuotaDay
from nadg.models.windows import MinuteWindow, Sent


class Waiter:
    """One request that asks to be let go."""

    def __init__(self, run_id: str, tokens: int) -> None:
        self.run_id, self.tokens = run_id, max(0, tokens)
        self.sent: Sent | None = None
        """Set when it may go."""
        self.closed: DayClosed | None = None
        """Set when it may not go today."""
        self.told = False
        """Whether it was told that it has to wait."""
        self._woken: asyncio.Future[None] | None = None

    def asleep(self) -> asyncio.Future[None]:
        """A future that `wake` completes."""
        self._woken = asyncio.get_running_loop().create_future()
        return self._woken

    def wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)


class Lane:
    """Times are seconds of the governor's monotonic clock."""

    def __init__(self, model: str, limits: RateLimits, clock: Clock) -> None:
        self.queue: FairQueue[Waiter] = FairQueue()
        self.day = QuotaDay(model, limits.requests_per_day, clock)
        self.timekeeper: Waiter | None = None
        """The one waiter that sleeps until the lane opens; all others only wait to be woken."""
        self._pace = Pace(limits)
        self._window = MinuteWindow()

    def serve(self, now: float) -> None:
        """Let go all whose turn has come; turn all away where the day is over."""
        while (head := self.queue.head) is not None:
            closed = self.day.closed()
            if closed is not None:
                self._turn_away(self.queue.pop(), closed)
            elif self.opens_at(head, now) <= now:
                self._let_go(self.queue.pop(), now)
            else:
                return

    def opens_at(self, head: Waiter, now: float) -> float:
        """When the one whose turn it is may go."""
        pace = self._pace
        opens = self._window.opens_at(now, head.tokens, pace.requests_limit(now), pace.tokens_limit())
        return max(opens, pace.closed_until)

    def expected_seconds(self, waiter: Waiter, now: float) -> float:
        """About how long it has to wait still; never less than is sure already."""
        head = self.queue.head or waiter
        sure = self.opens_at(head, now) - now
        queued = self._window.queue_seconds(now, self.queue.ahead(waiter), self._pace.requests_limit(now))
        return max(0.0, sure, queued)

    def leave(self, waiter: Waiter, *, unused: bool) -> None:
        """It waits no more; `unused`: it does not send anything either, so that its place is free again."""
        self.queue.remove(waiter)
        if unused and waiter.sent is not None:
            self._take_back(waiter.sent)
            self.wake_timekeeper()
        if self.timekeeper is None and self.queue.head is not None:
            self.queue.head.wake()

    def settle(self, sent: Sent, tokens: int) -> None:
        if tokens == 0:
            self._take_back(sent)
        else:
            self._window.correct(sent, tokens)
            self._pace.succeeded(sent.at)
        self.wake_timekeeper()

    def refused(self, error: RateLimited, now: float) -> None:
        """Those who wait are woken, for they may want to tell how long it takes now."""
        if error.per_day:
            self.day.close()
            self.serve(now)
            return
        self._pace.refused(error, now, self._window.count(now))
        for waiter in self.queue:
            if not waiter.told:
                waiter.wake()
        self.wake_timekeeper()

    def wake_timekeeper(self) -> None:
        """The opening may have moved."""
        if self.timekeeper is not None:
            self.timekeeper.wake()

    def _let_go(self, waiter: Waiter, now: float) -> None:
        waiter.sent = self._window.add(now, waiter.tokens)
        self.day.add(1)
        waiter.wake()

    def _take_back(self, sent: Sent) -> None:
        self._window.take_back(sent)
        self.day.add(-1)

    def _turn_away(self, waiter: Waiter, closed: DayClosed) -> None:
        waiter.closed = closed
        waiter.wake()
