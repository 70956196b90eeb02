"""What the governor learns from refusals, and what it tells those who wait."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import zoneinfo
from collections.abc import Awaitable, Callable

import pytest

from nadg.models.call import RateLimited
from nadg.models.governor import DayClosed, Governor
from nadg.models.limits import RateLimits
from nadg.models.quota_day import next_reset
from tests.support.virtual_time import EPOCH, LoopClock, pass_time, run_virtually

MODEL = "google:gemini-3.5-flash-lite"
NO_LIMITS = RateLimits()
RESET = datetime.datetime(2026, 1, 16, 8, tzinfo=datetime.UTC)


class Use:
    """A governor and the times at which it let requests go."""

    def __init__(self, limits: RateLimits = NO_LIMITS) -> None:
        self.clock = LoopClock()
        self.governor = Governor({MODEL: limits}, clock=self.clock, time=self.clock.monotonic)
        self.times: list[float] = []

    def refuse(self, **fields: object) -> None:
        self.governor.refused(MODEL, RateLimited("slow down", **fields))  # type: ignore[arg-type]  # any of them

    async def send(self, count: int = 1, *, answered: bool = True) -> None:
        """All at once; `answered`: in no time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self.send_one(answered))

    async def send_one(self, answered: bool = True) -> None:
        admission = await self.governor.admit(MODEL, "run", 10)
        self.times.append(self.clock.monotonic())
        if answered:
            admission.settle(10)


def used(body: Callable[[Use], Awaitable[None]], limits: RateLimits = NO_LIMITS) -> Use:
    async def inner() -> Use:
        use = Use(limits)
        await body(use)
        return use

    return run_virtually(inner())


def test_a_limit_that_the_provider_names_is_kept_from_then_on() -> None:
    async def body(use: Use) -> None:
        await use.send(3)
        use.refuse(limit=3, retry_after=5.0)
        await use.send(6)

    assert used(body).times == [0, 0, 0, 61, 61, 61, 122, 122, 122]


def test_the_users_limit_stands_where_the_provider_names_a_higher_one() -> None:
    async def body(use: Use) -> None:
        use.refuse(limit=100, retry_after=1.0)
        await use.send(4)

    assert used(body, RateLimits(requests_per_minute=2)).times == [1, 1, 62, 62]


def test_a_named_limit_of_tokens_counts_tokens() -> None:
    async def body(use: Use) -> None:
        use.refuse(limit=25, retry_after=1.0, counts="tokens")
        await use.send(3)

    assert used(body).times == [1, 1, 62]


@pytest.mark.parametrize("fields", [{}, {"retry_after": 0.0}, {"limit": 0}, {"limit": 500}])
def test_refusals_that_do_not_say_for_how_long_are_waited_out_ever_longer(fields: dict[str, float]) -> None:
    async def body(use: Use) -> None:
        for _ in range(9):
            await use.send(answered=False)
            use.refuse(**fields)

    times = used(body).times
    waits = [round(later - earlier) for earlier, later in itertools.pairwise(times)]
    assert waits[:4] == [1, 2, 4, 8]
    assert all(16 <= wait <= 61 for wait in waits[4:])


def test_many_refusals_of_one_burst_are_one_step_of_the_back_off() -> None:
    async def body(use: Use) -> None:
        await use.send(4, answered=False)
        for _ in range(4):
            use.refuse()
        await use.send()

    assert used(body).times[4:] == [1]


def test_an_answer_ends_the_back_off() -> None:
    async def body(use: Use) -> None:
        for _ in range(3):
            await use.send(answered=False)
            use.refuse()
        await use.send(answered=True)
        use.refuse()
        await use.send()

    assert used(body).times == [0, 1, 3, 7, 8]


def test_an_answer_to_what_was_sent_before_the_refusal_ends_no_back_off() -> None:
    async def body(use: Use) -> None:
        early = await use.governor.admit(MODEL, "run", 10)
        use.refuse()
        await use.send(answered=False)
        use.refuse()
        early.settle(10)
        await use.send(answered=False)
        use.refuse()
        await use.send()

    assert used(body).times == [1, 3, 7]


def test_the_pace_is_halved_then_rises_and_the_guess_is_forgotten() -> None:
    async def body(use: Use) -> None:
        await use.send(41)
        use.refuse()
        await use.send(400)

    times = used(body).times[41:]
    counts = [sum(minute * 60 <= time < minute * 60 + 60 for time in times) for minute in range(6)]
    assert counts[0] == 0, "twenty a minute, and forty went in this one"
    assert 20 <= counts[1] <= 26
    assert counts[1] < counts[2] < counts[3] < counts[4] <= counts[1] + 3 * 7
    assert counts[5] > 200, "forgotten after five minutes"


def test_who_says_when_to_come_again_is_asked_as_fast_as_it_answered() -> None:
    async def body(use: Use) -> None:
        await use.send(30, answered=False)
        refused = [await use.governor.admit(MODEL, "run", 10) for _ in range(10)]
        for admission in refused:
            use.refuse(retry_after=3.0)
            admission.settle(0)
        await use.send(60, answered=False)

    times = used(body).times[30:]
    assert times[0] == 61
    assert sum(time == 61 for time in times) == 30


def test_one_that_is_larger_than_the_limit_goes_alone() -> None:
    async def body(use: Use) -> None:
        await use.send(2)
        admission = await use.governor.admit(MODEL, "run", 500)
        use.times.append(use.clock.monotonic())
        admission.settle(500)
        await use.send()

    assert used(body, RateLimits(tokens_per_minute=50)).times == [0, 0, 61, 122]


def test_what_an_answer_did_not_take_is_free_for_those_who_wait() -> None:
    async def body(use: Use) -> None:
        first = await use.governor.admit(MODEL, "run", 100)
        async with asyncio.TaskGroup() as group:
            group.create_task(use.send())
            await pass_time(7)
            first.settle(20)
            first.settle(100)

    assert used(body, RateLimits(tokens_per_minute=100)).times == [7]


def test_one_that_took_nothing_leaves_its_place_to_another() -> None:
    async def body(use: Use) -> None:
        first = await use.governor.admit(MODEL, "run", 10)
        async with asyncio.TaskGroup() as group:
            group.create_task(use.send_one())
            await pass_time(7)
            first.settle(0)
        assert use.governor.day_closed_until(MODEL) is None, "one of two was sent"

    assert used(body, RateLimits(requests_per_minute=1, requests_per_day=2)).times == [7]


def test_a_day_that_is_over_turns_away_all_who_wait_and_who_come() -> None:
    async def body(use: Use) -> None:
        await use.send()
        waiting = [asyncio.create_task(use.governor.admit(MODEL, run, 10)) for run in "ab"]
        await pass_time(5)
        use.refuse(per_day=True, retry_after=1.0)
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [end.until for end in ends if isinstance(end, DayClosed)] == [RESET, RESET]
        assert use.clock.monotonic() == 5
        with pytest.raises(DayClosed):
            await use.send_one()
        assert use.governor.day_closed_until(MODEL) == RESET
        assert use.governor.day_closed_until("google:other") is None
        await pass_time((RESET - use.clock.now()).total_seconds())
        assert use.governor.day_closed_until(MODEL) is None
        await use.send_one()

    assert used(body, RateLimits(requests_per_minute=1)).times == [0, (RESET - EPOCH).total_seconds()]


def test_the_days_own_count_closes_it() -> None:
    async def body(use: Use) -> None:
        tasks = [asyncio.create_task(use.send_one()) for _ in range(5)]
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(end, DayClosed) for end in ends) == 2
        assert use.governor.day_closed_until(MODEL) == RESET

    assert used(body, RateLimits(requests_per_minute=2, requests_per_day=3)).times == [0, 0, 61]


def test_one_that_was_let_go_but_was_cancelled_before_it_knew_leaves_its_place_to_another() -> None:
    async def body(use: Use) -> None:
        async def cancelling() -> None:
            await use.send_one()
            second.cancel()

        await use.send(2)
        first = asyncio.create_task(cancelling())
        second = asyncio.create_task(use.send_one())
        third = asyncio.create_task(use.send_one())
        await asyncio.gather(first, third)
        assert second.cancelled()
        assert use.governor.day_closed_until(MODEL) is None, "four of five went"

    assert used(body, RateLimits(requests_per_minute=2, requests_per_day=5)).times == [0, 0, 61, 61]


def test_a_wait_is_told_once_and_only_if_it_is_long() -> None:
    async def body(use: Use) -> None:
        told: list[float] = []
        await use.governor.admit(MODEL, "run", 10, told.append)
        use.refuse(retry_after=1.5)
        await use.governor.admit(MODEL, "run", 10, told.append)
        assert told == []
        waiting = asyncio.create_task(use.governor.admit(MODEL, "run", 10, told.append))
        behind = asyncio.create_task(use.governor.admit(MODEL, "run", 10, told.append))
        await pass_time(10)
        use.refuse(retry_after=100.0)
        await asyncio.gather(waiting, behind)
        assert told == [61 - 1.5, 61]

    used(body, RateLimits(requests_per_minute=2))


def test_a_window_that_closes_is_told_to_those_who_wait_already() -> None:
    async def body(use: Use) -> None:
        told: list[float] = []
        use.refuse(retry_after=1.5)
        waiting = [asyncio.create_task(use.governor.admit(MODEL, run, 10, told.append)) for run in "abc"]
        await pass_time(1)
        assert told == []
        use.refuse(retry_after=30.0)
        await asyncio.gather(*waiting)
        assert told == [30, 30, 30]

    used(body)


def test_the_day_ends_at_midnight_pacific_in_winter_and_in_summer() -> None:
    summer = datetime.datetime(2026, 7, 1, 6, 59, tzinfo=datetime.UTC)
    assert next_reset(EPOCH) == RESET
    assert next_reset(summer) == summer + datetime.timedelta(minutes=1)
    assert next_reset(RESET) == RESET + datetime.timedelta(days=1)


def test_without_zone_data_the_day_ends_at_a_fixed_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> datetime.tzinfo:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", missing)
    assert next_reset(EPOCH) == RESET
