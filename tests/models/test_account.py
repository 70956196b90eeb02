"""An account keeps its budget: at once, under way, after failures and after a restart."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nadg.domain.errors import BudgetSpent, StoreUnavailable
from nadg.domain.model_calls import Budget, CallCharge, ModelUsage, StoredAnswer
from nadg.models.account import RunAccount
from nadg.models.call import ModelCall, Turn, Wanted
from nadg.models.fake import FakeLedger
from nadg.models.memory import Ledger
from tests.support.virtual_time import LoopClock, pass_time, run_virtually

MODEL = "google:gemini-3.5-flash-lite"
PRICE = 0.001
"""Dollars for each token, in or out."""


def wanted(input_tokens: int = 100, output: int = 900, price: float | None = PRICE, model: str = MODEL) -> Wanted:
    return Wanted(
        purpose="prompt",
        model=model,
        input_tokens=input_tokens,
        max_output_tokens=output,
        input_usd_per_token=price,
        output_usd_per_token=price,
    )


def took(tokens: int, usd: float | None = None) -> ModelUsage:
    cost = tokens * PRICE if usd is None else usd
    return ModelUsage(answers=1, requests=1, output_tokens=tokens, cost_usd=cost)


async def opened(budget: Budget, ledger: Ledger | None = None) -> RunAccount:
    return await RunAccount.open("run", budget, ledger or FakeLedger(), clock=LoopClock())


def ran(body: Callable[[], Awaitable[Any]]) -> None:
    async def inner() -> None:
        await body()

    run_virtually(inner())


class SlowLedger(FakeLedger):
    """Writes a charge only when it is told to go on; the next write may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.next_fails = False

    async def charge(self, charge: CallCharge) -> None:
        await self.go_on.wait()
        self._fail()
        await super().charge(charge)

    async def settle(self, call_id: str, state: str, usage: ModelUsage | None, reason: str = "") -> None:
        self._fail()
        await super().settle(call_id, state, usage, reason)

    def _fail(self) -> None:
        if self.next_fails:
            self.next_fails = False
            raise StoreUnavailable("the disk is full")


def test_a_charge_is_written_before_it_is_granted_and_with_all_that_it_can_come_to() -> None:
    async def body() -> None:
        ledger = FakeLedger()
        granted = await (await opened(Budget(), ledger)).charge(wanted())
        (record,) = await ledger.calls("run")
        assert record.charge.id == granted.charge_id
        assert record.charge.tokens == 1000
        assert record.charge.cost_usd == pytest.approx(1.0)
        assert granted.max_output_tokens == 900

    ran(body)


@pytest.mark.parametrize("budget", [Budget(tokens=700), Budget(usd=0.7), Budget(tokens=9000, usd=0.7)])
def test_an_answer_is_shortened_to_what_is_left(budget: Budget) -> None:
    async def body() -> None:
        account = await opened(budget)
        granted = await account.charge(wanted())
        assert granted.max_output_tokens in {599, 600}
        assert account.reserved_tokens == 100 + granted.max_output_tokens

    ran(body)


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (Budget(tokens=163), "budget of 163 tokens .* 0 are spent and it takes 164 at least; .* --budget-tokens"),
        (Budget(usd=0.16), r"budget of \$0.16 .* \$0.00 is spent and it takes \$0.164 at least; .* --budget-usd"),
    ],
)
def test_without_room_for_a_short_answer_the_budget_is_spent(budget: Budget, sentence: str) -> None:
    async def body() -> None:
        ledger = FakeLedger()
        account = await opened(budget, ledger)
        with pytest.raises(BudgetSpent, match=sentence):
            await account.charge(wanted())
        assert list(await ledger.calls("run")) == []
        assert (await account.charge(wanted(input_tokens=10, output=20))).max_output_tokens == 20

    ran(body)


def test_dollars_cannot_be_kept_where_the_price_is_not_known() -> None:
    async def body() -> None:
        unknown = wanted(price=None, model="openai:own")
        account = await opened(Budget(usd=5.0))
        with pytest.raises(BudgetSpent, match=r"the price of openai:own is not known.*--budget-tokens"):
            await account.charge(unknown)
        ledger = FakeLedger()
        await (await opened(Budget(tokens=5000), ledger)).charge(unknown)
        again = await opened(Budget(usd=5.0), ledger)
        with pytest.raises(BudgetSpent, match=r"the price of openai:own is not known"):
            await again.charge(wanted())

    ran(body)


def test_a_request_waits_for_what_others_leave_rather_than_be_cut_short() -> None:
    async def body() -> None:
        account = await opened(Budget(tokens=1400))
        first = await account.charge(wanted())
        second = asyncio.create_task(account.charge(wanted()))
        await _until_blocked()
        assert not second.done(), "300 tokens would do for an answer, but the first may leave more"
        await account.settle(first.charge_id, "answered", took(50))
        assert (await second).max_output_tokens == 900

    ran(body)


def test_one_that_waits_in_vain_is_told_so() -> None:
    async def body() -> None:
        account = await opened(Budget(tokens=1100))
        first = await account.charge(wanted())
        waiting = [asyncio.create_task(account.charge(wanted())) for _ in range(3)]
        await _until_blocked()
        await account.settle(first.charge_id, "answered", took(1000))
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [BudgetSpent] * 3

    ran(body)


def test_charges_at_the_same_time_do_not_share_one_room() -> None:
    async def body() -> None:
        ledger = SlowLedger()
        account = await opened(Budget(tokens=2500), ledger)
        tasks = [asyncio.create_task(account.charge(wanted())) for _ in range(8)]
        await _until_blocked()
        ledger.go_on.set()
        await _until_blocked()
        assert sum(task.done() for task in tasks) == 2
        assert account.reserved_tokens == 2000
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    ran(body)


def test_a_charge_that_could_not_be_written_leaves_its_room_to_others() -> None:
    async def body() -> None:
        ledger = SlowLedger()
        account = await opened(Budget(tokens=1000), ledger)
        first, second = (asyncio.create_task(account.charge(wanted())) for _ in range(2))
        await _until_blocked()
        ledger.next_fails = True
        ledger.go_on.set()
        with pytest.raises(StoreUnavailable):
            await first
        assert (await second).max_output_tokens == 900

    ran(body)


def test_a_charge_that_was_cancelled_while_it_was_written_stays_counted() -> None:
    async def body() -> None:
        account = await opened(Budget(tokens=1000), SlowLedger())
        first, second = (asyncio.create_task(account.charge(wanted())) for _ in range(2))
        await _until_blocked()
        first.cancel()
        with pytest.raises(BudgetSpent):
            await second
        assert (account.spent_tokens, account.reserved_tokens) == (1000, 0)

    ran(body)


def test_a_settling_that_could_not_be_stored_counts_all_the_same() -> None:
    async def body() -> None:
        ledger = SlowLedger()
        ledger.go_on.set()
        account = await opened(Budget(tokens=1000), ledger)
        first = await account.charge(wanted())
        second = asyncio.create_task(account.charge(wanted()))
        await _until_blocked()
        ledger.next_fails = True
        with pytest.raises(StoreUnavailable):
            await account.settle(first.charge_id, "answered", took(300))
        assert (await second).max_output_tokens == 600
        assert account.spent_tokens == 300

    ran(body)


def test_only_the_first_settling_counts() -> None:
    async def body() -> None:
        account = await opened(Budget())
        first = await account.charge(wanted())
        await account.settle(first.charge_id, "failed", took(10), "overloaded")
        await account.settle(first.charge_id, "answered", took(500))
        assert (account.spent_tokens, account.reserved_tokens, account.usage.requests) == (10, 0, 1)

    ran(body)


def test_after_a_restart_it_counts_on_with_calls_of_unknown_end_as_charged() -> None:
    async def body() -> None:
        ledger = FakeLedger()
        account = await opened(Budget(tokens=5000), ledger)
        granted = [await account.charge(wanted()) for _ in range(3)]
        await account.settle(granted[0].charge_id, "answered", took(200))
        await account.settle(granted[1].charge_id, "failed", took(30), "broken off")
        await account.answered_from_cache(CALL, StoredAnswer(model=MODEL, text="yes", usage=took(77)))
        assert (account.spent_tokens, account.reserved_tokens) == (230, 1000)
        again = await opened(Budget(tokens=2000), ledger)
        assert (again.spent_tokens, again.reserved_tokens) == (1230, 0)
        assert again.spent_usd == pytest.approx(1.23)
        assert (again.usage.requests, again.usage.cached, again.usage.output_tokens) == (3, 1, 230)
        assert (await again.charge(wanted())).max_output_tokens == 670

    ran(body)


def test_what_the_cache_answered_costs_nothing_and_is_recorded() -> None:
    async def body() -> None:
        ledger = FakeLedger()
        account = await opened(Budget(tokens=10), ledger)
        await account.answered_from_cache(CALL, StoredAnswer(model=MODEL, text="yes", usage=took(77)))
        (record,) = await ledger.calls("run")
        assert (record.state, record.charge.subtask_id, record.charge.tokens) == ("cached", "read", 0)
        assert account.spent_tokens == 0
        assert account.usage == record.usage == ModelUsage(models=(MODEL,), answers=1, cached=1)

    ran(body)


def test_it_passes_on_what_it_was_opened_with() -> None:
    async def body() -> None:
        told: list[str] = []
        ids = (f"c{number}" for number in itertools.count())
        account = await RunAccount.open(
            "run",
            Budget(),
            FakeLedger(),
            clock=LoopClock(),
            use_cache=False,
            notice=told.append,
            create_id=lambda: next(ids),
        )
        account.notice("waiting")
        assert (account.run_id, account.use_cache, told) == ("run", False, ["waiting"])
        assert (await account.charge(wanted())).charge_id == "c0"

    ran(body)


CALL = ModelCall(purpose="prompt", turns=(Turn(role="user", text="?"),), subtask_id="read")


async def _until_blocked() -> None:
    """In virtual time a timer goes off only when everybody else waits."""
    await pass_time(1)
