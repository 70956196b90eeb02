"""Patience alone: how often, how long, and what is told; no second passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost, NadgError, StoreUnavailable
from nadg.store.api import StoreTrouble
from nadg.store.patience import LONGEST_WAIT_SECONDS, QUIET_SECONDS, Kind, Passing, Patience

Advance = Callable[[float], None]


class _Case:
    """Patience whose waiting moves the test's clock, and what came of it."""

    def __init__(self, seconds: float | None, clock: Clock, advance: Advance, chance: float = 1.0) -> None:
        self._advance = advance
        self.waits: list[float] = []
        self.told: list[StoreTrouble | None] = []
        self.patience = Patience(seconds, clock, self.told.append, wait=self._wait, chance=lambda: chance)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._advance(seconds)

    def run(self, *results: str | Exception, kind: Kind = "write", at_most: float | None = None) -> str:
        """The answer where the tries give these one after the other; a text with a ! fails for that reason."""
        left = iter(results)

        async def attempt() -> str:
            result = next(left)
            if isinstance(result, Exception):
                raise result
            if result.startswith("!"):
                raise Passing(result[1:], StoreUnavailable(f"{result[1:]} in the end"))
            return result

        answer = asyncio.run(_finished(self.patience.last(kind, attempt, at_most)))
        assert next(left, None) is None
        return answer


async def _finished(answer: Awaitable[str]) -> str:
    return await answer


def _reasons(told: list[StoreTrouble | None]) -> list[str | None]:
    return [None if one is None else one.reason for one in told]


def test_waits_double_up_to_a_bound_and_chance_takes_up_to_half(clock: Clock, advance: Advance) -> None:
    case = _Case(None, clock, advance)
    assert case.run(*["!down"] * 9, "done") == "done"
    assert case.waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
    least = _Case(None, clock, advance, chance=0.0)
    least.run(*["!down"] * 2000, "done")
    assert least.waits[0] == pytest.approx(0.05)
    assert least.waits[-1] == LONGEST_WAIT_SECONDS / 2


def test_trouble_is_told_once_it_lasts_then_each_new_reason_then_that_it_is_over(
    clock: Clock, advance: Advance
) -> None:
    case = _Case(None, clock, advance)
    begun = clock.now()
    case.run(*["!away"] * 6, "!full", "!full", "done")
    assert _reasons(case.told) == ["away", "full", None]
    first = case.told[0]
    assert first is not None
    assert first.since == begun
    assert case.waits[: first.tries - 1] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert case.patience.trouble is None


def test_what_is_over_at_once_is_not_told(clock: Clock, advance: Advance) -> None:
    case = _Case(None, clock, advance)
    case.run("!away", "!away", "!away", "done")
    assert sum(case.waits) < QUIET_SECONDS
    assert case.told == []


def test_the_trouble_at_hand_can_be_asked_for(clock: Clock, advance: Advance) -> None:
    case, begun = _Case(9, clock, advance), clock.now()
    with pytest.raises(StoreUnavailable, match="held in the end"):
        case.run(*["!held"] * 8)
    assert case.patience.trouble == StoreTrouble(since=begun, reason="held", tries=8)
    assert sum(case.waits) == pytest.approx(9)
    case.run("done")
    assert _reasons([*case.told, case.patience.trouble]) == ["held", None, None]


@pytest.mark.parametrize(("seconds", "at_most"), [(0, None), (None, 0), (5, 0)])
def test_without_patience_the_first_failure_is_raised(
    clock: Clock, advance: Advance, seconds: float | None, at_most: float | None
) -> None:
    case = _Case(seconds, clock, advance)
    with pytest.raises(StoreUnavailable, match="held in the end"):
        case.run("!held", at_most=at_most)
    assert case.waits == []


def test_an_error_that_does_not_pass_ends_the_tries(clock: Clock, advance: Advance) -> None:
    case = _Case(None, clock, advance)
    with pytest.raises(ZeroDivisionError):
        case.run("!held", ZeroDivisionError())
    with pytest.raises(StoreUnavailable, match="malformed"):
        case.run(*["!held"] * 5, StoreUnavailable("malformed"))
    assert _reasons(case.told) == ["held"]


@pytest.mark.parametrize("answer", [LeaseLost("another's"), NadgError("no")])
def test_a_refusal_is_an_answer_of_the_database(clock: Clock, advance: Advance, answer: Exception) -> None:
    case = _Case(None, clock, advance)
    with pytest.raises(type(answer)):
        case.run(*["!away"] * 5, answer)
    assert _reasons(case.told) == ["away", None]


def test_a_disk_that_is_read_but_not_written_stays_in_trouble(clock: Clock, advance: Advance) -> None:
    case = _Case(8, clock, advance)
    with pytest.raises(StoreUnavailable):
        case.run(*["!full"] * 8)
    case.run("done", kind="read")
    assert case.patience.trouble is not None
    case.run("done", kind="write")
    assert _reasons(case.told) == ["full", None]


def test_trouble_with_reading_and_writing_is_over_when_both_are(clock: Clock, advance: Advance) -> None:
    case, begun = _Case(8, clock, advance), clock.now()
    for kind in ("read", "write"):
        with pytest.raises(StoreUnavailable):
            case.run(*[f"!no {kind}"] * 8, kind=kind)
    assert case.patience.trouble is not None
    assert case.patience.trouble.since == begun
    case.run("done")
    assert _reasons(case.told) == ["no read", "no write", "no read"]
    case.run("done", kind="read")
    assert case.told[-1] is None


def test_who_waits_can_be_cancelled_at_once(clock: Clock) -> None:
    async def scenario() -> None:
        waiting = asyncio.Event()

        async def wait(_seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        async def attempt() -> None:
            raise Passing("away", StoreUnavailable("away"))

        patience = Patience(None, clock, lambda _: None, wait=wait)
        task = asyncio.create_task(patience.last("read", attempt))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
