"""Runs by chance in no time: bills stay within the budget, even where more input is counted than was foreseen."""

from __future__ import annotations

import random

import msgspec

from nadg.domain.errors import BudgetSpent
from nadg.domain.model_calls import Budget
from nadg.models.account import RunAccount
from nadg.models.call import ModelCall, Turn
from nadg.models.configuration import ModelSettings
from nadg.models.estimate import estimate_input
from nadg.models.fake import FakeAnswerCache, FakeLedger
from nadg.models.gateway import Gateway
from nadg.models.governor import Governor
from nadg.models.prices import price_of
from nadg.models.spending import SHORTEST_ANSWER_TOKENS
from tests.models.driven_runs import BillingClient, CutLedger, Driven, billed, drive_run, drive_until
from tests.support.virtual_time import LoopClock, run_virtually

RUNS = 300
MODELS = ("google:gemini-3.5-flash-lite", "google:gemini-2.5-flash", "openai:gpt-4o-mini", "openai:gpt-4o")
ROUNDING_USD = 1e-9


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what it asks, what it may spend, and when its power is cut."""

    seed: int
    models: tuple[str, ...]
    calls: tuple[ModelCall, ...]
    budget: Budget
    width: int
    cuts: tuple[float, ...]
    """Seconds from one start to the cut that follows."""
    excess: float
    """How far input may be underestimated; so little that all who are ever under way make less than a call."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    case: Case
    account: RunAccount
    driven: Driven
    tokens: int
    """Billed, as the dollars."""
    usd: float
    largest_tokens: int
    largest_usd: float


def create_case(seed: int) -> Case:
    chance = random.Random(seed)
    models = tuple(chance.sample(MODELS, chance.randint(1, 2)))
    calls = tuple(_call(chance, number) for number in range(chance.randint(1, 12)))
    width, cuts = chance.randint(1, 4), tuple(chance.uniform(0, 60) for _ in range(chance.choice([0, 0, 1, 3])))
    most = sum(estimate_input(call) + call.max_output_tokens for call in calls)
    tokens = int(most * chance.uniform(0.05, 1.5))
    price = price_of(models[0])
    assert price is not None
    kinds = (Budget(tokens=tokens), Budget(usd=tokens * price.output_usd_per_token), Budget())
    return Case(
        seed=seed,
        models=models,
        calls=calls,
        budget=chance.choices(kinds, (10, 10, 1))[0],
        width=width,
        cuts=cuts,
        excess=chance.choice([0.0, 0.0, 0.8 / (width * (1 + len(cuts)))]),
    )


def _call(chance: random.Random, number: int) -> ModelCall:
    text = f"{number} " + "x" * chance.randint(0, 6000)
    return ModelCall(
        purpose="prompt", turns=(Turn(role="user", text=text),), max_output_tokens=chance.choice([20, 300, 2000])
    )


async def ended(case: Case) -> Ended:
    """Run it to its end, begun anew after each cut."""
    chance, clock = random.Random(case.seed + 1), LoopClock()
    clients = {name: BillingClient(chance, name, case.excess) for name in ("google", "openai")}
    ledger, driven, cache = FakeLedger(), Driven(), FakeAnswerCache()
    settings = ModelSettings(model=case.models[0], fallbacks=case.models[1:])
    for seconds in (*case.cuts, None):
        writing = CutLedger(ledger)
        account = await RunAccount.open("run", case.budget, writing, clock=clock)
        governor = Governor({}, clock=clock, time=clock.monotonic)
        door = Gateway(settings, clients, governor, cache, clock, random=chance.random)
        if seconds is None:
            await drive_run(door, account, case.calls, driven, width=case.width)
        elif await drive_until(seconds, writing, door, account, case.calls, driven, width=case.width):
            break
    bills = billed(clients)
    return Ended(
        case=case,
        account=account,
        driven=driven,
        tokens=sum(bill.tokens for bill in bills),
        usd=sum(bill.usd for bill in bills),
        largest_tokens=max((bill.tokens for bill in bills), default=0),
        largest_usd=max((bill.usd for bill in bills), default=0.0),
    )


def check_kept(end: Ended) -> None:
    """The bill is within the budget; or above it by less than one call, if the provider counted more input."""
    budget, wrong = end.case.budget, end.case.excess > 0
    if budget.tokens is not None:
        assert end.tokens <= budget.tokens + (end.largest_tokens if wrong else 0), end.case.seed
        assert wrong or end.account.spent_tokens <= budget.tokens, end.case.seed
    if budget.usd is not None:
        most = budget.usd + ROUNDING_USD + (end.largest_usd if wrong else 0.0)
        assert end.usd <= most, end.case.seed
        assert wrong or end.account.spent_usd <= budget.usd + ROUNDING_USD, end.case.seed


def check_progress(end: Ended) -> None:
    """All was asked, and what was not for want of money would not have fitted in what is left."""
    case, account = end.case, end.account
    assert not end.driven.open_of(case.calls), case.seed
    assert (account.reserved_tokens, account.reserved_usd) == (0, 0.0), case.seed
    for place, failure in end.driven.failures.items():
        if isinstance(failure, BudgetSpent):
            assert not _fits(case, account, case.calls[place]), case.seed


def _fits(case: Case, account: RunAccount, call: ModelCall) -> bool:
    """Whether it would have room even with the dearest model."""
    count, length = estimate_input(call), min(SHORTEST_ANSWER_TOKENS, call.max_output_tokens)
    if case.budget.tokens is not None:
        return count + length <= case.budget.tokens - account.spent_tokens
    prices = [price for model in case.models if (price := price_of(model)) is not None]
    needed = max(count * one.input_usd_per_token + length * one.output_usd_per_token for one in prices)
    return case.budget.usd is None or needed < case.budget.usd - account.spent_usd


async def _all_ended() -> list[Ended]:
    return [await ended(create_case(seed)) for seed in range(RUNS)]


def test_no_run_ends_above_its_budget_and_none_stops_before_it() -> None:
    ends = run_virtually(_all_ended())
    for end in ends:
        check_kept(end)
        check_progress(end)
    spent_out = [end for end in ends if any(isinstance(one, BudgetSpent) for one in end.driven.failures.values())]
    answered = sum(len(end.driven.replies) for end in ends)
    assert len(spent_out) > RUNS / 5, "budgets must be met for this to show anything"
    assert answered > RUNS
    assert sum(len(end.driven.replies) == len(end.case.calls) for end in ends) > RUNS / 10
    assert sum(bool(end.case.cuts) for end in spent_out) > RUNS / 20
