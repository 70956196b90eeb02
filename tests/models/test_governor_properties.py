"""Random arrivals, sizes, refusals and cancellations: no limit is overrun, nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.models.call import RateLimited
from nadg.models.governor import Admission, Governor
from nadg.models.limits import RateLimits
from nadg.models.windows import MARGIN_SECONDS, WINDOW_SECONDS
from tests.support.virtual_time import LoopClock, pass_time, run_virtually

MODEL = "google:gemini-3.5-flash-lite"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request: when it comes, what it takes, and when its sender gives up waiting."""

    run_id: str
    at: float
    tokens: int
    true_tokens: int
    seconds: float
    patience: float | None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    retry_after: float


class Let(msgspec.Struct, kw_only=True):
    """A request that was let go."""

    asked: Asked
    at: float
    before: dict[str, int]
    """How many of each run had gone when it came."""
    ahead: int
    """How many of its own run waited then."""
    after: dict[str, int]
    """How many of each run had gone when it went."""


class Use:
    """A governor and its users."""

    def __init__(self, limits: RateLimits) -> None:
        self.clock = LoopClock()
        self.governor = Governor({MODEL: limits}, clock=self.clock, time=self.clock.monotonic)
        self.let: list[Let] = []
        self.waiting: dict[str, int] = {}
        self.gone: dict[str, int] = {}

    async def send(self, asked: Asked) -> None:
        await pass_time(asked.at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(asked.patience):
                admission = await self._admitted(asked)
            await pass_time(asked.seconds)
            admission.settle(asked.true_tokens)
            admission.settle(10**9)

    async def refuse(self, refusal: Refusal) -> None:
        await pass_time(refusal.at)
        self.governor.refused(MODEL, RateLimited("slow down", retry_after=refusal.retry_after))

    async def all(self, asked: list[Asked], refusals: list[Refusal]) -> None:
        async with asyncio.TaskGroup() as group:
            for refusal in refusals:
                group.create_task(self.refuse(refusal))
            for one in asked:
                group.create_task(self.send(one))

    async def _admitted(self, asked: Asked) -> Admission:
        run_id = asked.run_id
        before, ahead = dict(self.gone), self.waiting.get(run_id, 0)
        self.waiting[run_id] = ahead + 1
        try:
            admission = await self.governor.admit(MODEL, run_id, asked.tokens)
        finally:
            self.waiting[run_id] -= 1
        after = dict(self.gone)
        self.gone[run_id] = after.get(run_id, 0) + 1
        now = self.clock.monotonic()
        self.let.append(Let(asked=asked, at=now, before=before, ahead=ahead, after=after))
        return admission


TIMES = st.floats(0, 200).map(lambda value: round(value, 1))


@st.composite
def requests(draw: st.DrawFn, patience: st.SearchStrategy[float | None]) -> Asked:
    tokens = draw(st.integers(1, 120))
    return Asked(
        run_id=draw(st.sampled_from("abc")),
        at=draw(st.one_of(st.just(0.0), TIMES)),
        tokens=tokens,
        true_tokens=draw(st.integers(1, tokens)),
        seconds=draw(st.sampled_from([0.0, 0.5, 7.0, 80.0])),
        patience=draw(patience),
    )


PATIENT = st.lists(requests(st.none()), max_size=40)
MIXED = st.lists(requests(st.none() | st.floats(0, 130)), max_size=40)
LIMITS = st.builds(
    RateLimits,
    requests_per_minute=st.none() | st.integers(1, 8),
    tokens_per_minute=st.none() | st.integers(1, 300),
)
REFUSALS = st.lists(
    st.builds(Refusal, at=TIMES, retry_after=st.floats(0.5, 90).map(lambda value: round(value, 1))), max_size=4
)


def used(limits: RateLimits, asked: list[Asked], refusals: list[Refusal] | None = None) -> Use:
    async def body() -> Use:
        use = Use(limits)
        await use.all(asked, refusals or [])
        return use

    return run_virtually(body())


def tokens_known(one: Let, now: float) -> int:
    """What a request counts with at `now`: its estimate, or what it took once that was known."""
    return one.asked.true_tokens if one.at + one.asked.seconds <= now else one.asked.tokens


@settings(max_examples=60, deadline=None)
@given(limits=LIMITS, asked=MIXED, refusals=REFUSALS)
def test_no_minute_has_more_than_the_limits(
    limits: RateLimits, asked: list[Asked], refusals: list[Refusal]
) -> None:
    let = used(limits, asked, refusals).let
    for index, last in enumerate(let):
        minute = [one for one in let[: index + 1] if one.at > last.at - WINDOW_SECONDS]
        if limits.requests_per_minute is not None:
            assert len(minute) <= limits.requests_per_minute
        if limits.tokens_per_minute is not None:
            earlier = sum(tokens_known(one, last.at) for one in minute[:-1])
            assert earlier + last.asked.tokens <= limits.tokens_per_minute or earlier == 0


@settings(max_examples=60, deadline=None)
@given(limits=LIMITS, asked=PATIENT, refusals=REFUSALS)
def test_who_waits_is_let_go_in_the_end(limits: RateLimits, asked: list[Asked], refusals: list[Refusal]) -> None:
    use = used(limits, asked, refusals)
    assert len(use.let) == len(asked)


@settings(max_examples=50, deadline=None)
@given(limit=st.integers(1, 8), asked=MIXED)
def test_no_time_is_lost_by_those_who_give_up(limit: int, asked: list[Asked]) -> None:
    """All the patient ones together take no longer than their number needs."""
    use = used(RateLimits(requests_per_minute=limit), asked)
    patient = [one for one in asked if one.patience is None]
    served = [one for one in use.let if one.asked.patience is None]
    assert len(served) == len(patient)
    last_came = max((one.at for one in asked), default=0.0)
    windows = -(-len(use.let) // limit)
    assert all(one.at <= last_came + windows * (WINDOW_SECONDS + MARGIN_SECONDS) for one in use.let)
    assert all(count == 0 for count in use.waiting.values())


@settings(max_examples=50, deadline=None)
@given(limits=LIMITS, asked=MIXED)
def test_no_run_gets_more_turns_than_the_one_that_waits(limits: RateLimits, asked: list[Asked]) -> None:
    """Between its coming and its going: one turn each for itself and for those of its run before it."""
    for one in used(limits, asked).let:
        for other in set("abc") - {one.asked.run_id}:
            assert one.after.get(other, 0) - one.before.get(other, 0) <= one.ahead + 1


@settings(max_examples=50, deadline=None)
@given(limits=LIMITS, asked=MIXED, refusals=REFUSALS)
def test_nobody_goes_while_the_provider_says_wait(
    limits: RateLimits, asked: list[Asked], refusals: list[Refusal]
) -> None:
    for one in used(limits, asked, refusals).let:
        assert not any(refusal.at < one.at < refusal.at + refusal.retry_after - 1e-6 for refusal in refusals)
