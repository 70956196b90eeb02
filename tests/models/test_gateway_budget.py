"""The gateway on behalf of a real account: a budget is never overrun, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio

import pytest

from nadg.domain.errors import AnswerUnfit, BudgetSpent, ModelUnavailable
from nadg.domain.model_calls import Budget
from nadg.models.account import RunAccount
from nadg.models.fake import FakeLedger
from tests.models.clients import SCHEMA, Sink, call_of
from tests.models.doors import LITE, gemini_house
from tests.support.gemini import DropConnection, Fail, Hang, RateLimit, Request, Say

LONG = "A text of some length, which comes in several pieces when it is streamed."


def test_a_spent_budget_sends_no_request() -> None:
    async def body() -> None:
        async with gemini_house(Say("x" * 2000, thoughts=200), Say("never")) as house:
            ledger = FakeLedger()
            account = await RunAccount.open("r1", Budget(tokens=800), ledger, clock=house.clock)
            first = await house.door.ask(call_of(), account)
            with pytest.raises(BudgetSpent):
                await house.door.ask(call_of("another"), account)
        assert len(house.requests) == 1
        assert account.spent_tokens == first.usage.tokens > 700
        assert account.reserved_tokens == 0

    asyncio.run(body())


def test_the_budget_shortens_the_answer_that_is_asked_for() -> None:
    async def body() -> None:
        async with gemini_house(Say("x" * 40_000)) as house:
            account = await RunAccount.open("r1", Budget(tokens=1000), FakeLedger(), clock=house.clock)
            await house.door.ask(call_of(), account)
        (request,) = house.requests
        assert request.max_output_tokens is not None
        assert 900 < request.max_output_tokens < 1000
        assert account.spent_tokens <= 1000

    asyncio.run(body())


@pytest.mark.parametrize(
    ("budget", "option"),
    [
        (Budget(tokens=1000), "--budget-tokens"),
        (Budget(usd=0.002), "--budget-usd"),
        (Budget(tokens=1000, usd=5.0), "--budget-tokens"),
    ],
)
def test_an_answer_that_the_budget_cut_off_says_which_budget(budget: Budget, option: str) -> None:
    async def body() -> None:
        async with gemini_house(Say("x" * 40_000)) as house:
            account = await RunAccount.open("r1", budget, FakeLedger(), clock=house.clock)
            with pytest.raises(AnswerUnfit, match=f"; the budget leaves no more; raise it with {option}$"):
                await house.door.ask(call_of(output_schema=SCHEMA), account)

    asyncio.run(body())


def test_a_plan_that_the_budget_has_no_room_for_is_not_begun() -> None:
    async def body() -> None:
        async with gemini_house(Say("short"), Say("long enough")) as house:
            account = await RunAccount.open("r1", Budget(tokens=500), FakeLedger(), clock=house.clock)
            with pytest.raises(BudgetSpent, match=r"0 are spent and it takes 5\d\d at least; allow more with"):
                await house.door.ask(call_of(purpose="plan"), account)
            assert (await house.door.ask(call_of(), account)).text == "short", "what is short has room"
        assert len(house.requests) == 1

    asyncio.run(body())


def test_failures_count_with_what_they_may_have_cost() -> None:
    answers = (RateLimit(), Fail(503), DropConnection(LONG, after=36), Say(LONG))

    async def body() -> None:
        async with gemini_house(*answers) as house:
            ledger = FakeLedger()
            account = await RunAccount.open("r1", Budget(usd=1.0), ledger, clock=house.clock)
            reply = await house.door.ask(call_of(), account, Sink())
            records = await ledger.calls("r1")
        assert [one.state for one in records] == ["refused", "failed", "failed", "answered"]
        assert [one.usage is not None and one.usage.tokens > 0 for one in records] == [False, False, True, True]
        assert reply.usage.requests == 4
        assert reply.usage.cost_usd == pytest.approx(account.spent_usd)
        assert all(one.charge.cost_usd is not None and one.charge.cost_usd > 0 for one in records)
        assert all(one.charge.model == LITE for one in records)

    asyncio.run(body())


def test_silence_uses_a_budget_up_rather_than_overrun_it() -> None:
    async def body() -> None:
        async with gemini_house(Hang(), Hang(), Hang(), timeout_seconds=0.3) as house:
            account = await RunAccount.open("r1", Budget(tokens=2500), FakeLedger(), clock=house.clock)
            call = call_of(max_output_tokens=2000)
            with pytest.raises((BudgetSpent, ModelUnavailable)):
                await house.door.ask(call, account)
        assert account.spent_tokens <= 2500
        assert account.reserved_tokens == 0

    asyncio.run(body())


def test_many_at_once_stay_within_the_budget() -> None:
    async def body() -> None:
        failed: set[str] = set()

        def script(request: Request) -> Say | Fail:
            """Every third question fails once, whichever comes first."""
            if request.number % 3 or request.text in failed:
                return Say("x" * 400)
            failed.add(request.text)
            return Fail(503)

        async with gemini_house(script=script) as house:
            account = await RunAccount.open("r1", Budget(tokens=4000), FakeLedger(), clock=house.clock)
            asking = [house.door.ask(call_of(str(n), max_output_tokens=300), account) for n in range(60)]
            ended = await asyncio.gather(*asking, return_exceptions=True)
        spent = [one for one in ended if isinstance(one, BudgetSpent)]
        assert spent
        assert len(ended) - len(spent) > 10
        assert all(not isinstance(one, BaseException) or isinstance(one, BudgetSpent) for one in ended)
        assert 2000 < account.spent_tokens <= 4000
        assert account.reserved_tokens == 0

    asyncio.run(body())


def test_a_request_that_is_given_up_stays_in_the_ledger_after_a_restart() -> None:
    async def body() -> None:
        ledger = FakeLedger()
        asked = asyncio.Event()

        def script(_: Request) -> Hang:
            asked.set()
            return Hang()

        async with gemini_house(script=script) as house:
            account = await RunAccount.open("r1", Budget(tokens=5000), ledger, clock=house.clock)
            asking = asyncio.create_task(house.door.ask(call_of(max_output_tokens=3000), account))
            await asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            again = await RunAccount.open("r1", Budget(tokens=5000), ledger, clock=house.clock)
        assert again.spent_tokens == account.spent_tokens > 3000

    asyncio.run(body())
