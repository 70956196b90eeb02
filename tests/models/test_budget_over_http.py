"""A thousand runs by chance over real HTTP and SQLite: what Gemini bills is never above the budget.

Requests fail in every way, accounts are dropped and opened anew, and now and then the power is cut for all.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from nadg.domain.errors import BudgetSpent
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.estimate import estimate_input
from nadg.models.google import create_google_client
from nadg.models.prices import price_of
from nadg.models.spending import SHORTEST_ANSWER_TOKENS
from tests.models.billing_gemini import BillingGemini
from tests.models.clients import KEY
from tests.models.cut_runs import Group, Life, create_case
from tests.models.doors import FLASH
from tests.models.driven_runs import Bill
from tests.support.gemini import GeminiImitation

RUNS, PARTS = 1000, 4
TOGETHER = 25
"""Runs under way at the same time; in the middle of each such group the power is cut for all."""
ROUNDING_USD = 1e-9
KINDS = ("Say", "Fail", "RateLimit", "BreakOff", "DropConnection", "BlockPrompt", "Truncate", "Hang")


async def lived(seeds: range, path: Path) -> tuple[list[Life], BillingGemini]:
    """Run them to their end, and what was billed for them."""
    lives: list[Life] = []
    gemini = BillingGemini()
    async with GeminiImitation(gemini.answer, api_key=KEY) as server:
        client = create_google_client(ModelSettings(google_api_key=ApiKey(KEY), google_base_url=server.url))
        try:
            for first in seeds[::TOGETHER]:
                cases = [create_case(seed) for seed in range(first, first + TOGETHER)]
                group = Group(cases, requests=random.Random(first).randint(TOGETHER // 2, 2 * TOGETHER))
                gemini.on_request = group.on_request
                await group.work(path, client)
                lives += group.lives.values()
        finally:
            await client.aclose()
    return lives, gemini


def check_kept(life: Life, bills: list[Bill]) -> None:
    """The bill is within the budget, and no more than our own books say."""
    budget, account, case = life.case.budget, life.account, life.case
    assert account is not None
    tokens, usd = sum(bill.tokens for bill in bills), sum(bill.usd for bill in bills)
    assert budget.tokens is None or tokens <= budget.tokens, f"seed {case.seed}: {tokens} of {case}"
    assert budget.usd is None or usd <= budget.usd + ROUNDING_USD, f"seed {case.seed}: {usd} of {case}"
    assert tokens <= account.spent_tokens, f"seed {case.seed}: {tokens} billed, {account.spent_tokens} counted"
    assert usd <= account.spent_usd + ROUNDING_USD, f"seed {case.seed}: {usd} billed, {account.spent_usd} counted"


def check_progress(life: Life) -> None:
    """All was asked, and what was not for want of money would not have fitted in what is left."""
    account, case = life.account, life.case
    assert account is not None
    assert life.is_over, f"seed {case.seed}"
    assert not life.driven.open_of(case.calls), f"seed {case.seed}"
    assert (account.reserved_tokens, account.reserved_usd) == (0, 0.0), f"seed {case.seed}"
    for place, failure in life.driven.failures.items():
        if isinstance(failure, BudgetSpent):
            assert not _fits(life, place), f"seed {case.seed}: {failure}"


def _fits(life: Life, place: int) -> bool:
    """Whether that call would have room even with the dearest model."""
    account, budget, call = life.account, life.case.budget, life.case.calls[place]
    dearest = price_of(FLASH)
    assert account is not None
    assert dearest is not None
    count, length = estimate_input(call), min(SHORTEST_ANSWER_TOKENS, call.max_output_tokens)
    usd = count * dearest.input_usd_per_token + length * dearest.output_usd_per_token
    fits_tokens = budget.tokens is None or count + length <= budget.tokens - account.spent_tokens
    return fits_tokens and (budget.usd is None or usd < budget.usd - account.spent_usd)


@pytest.mark.parametrize("part", range(PARTS))
def test_what_gemini_bills_is_within_the_budget(tmp_path: Path, part: int) -> None:
    seeds = range(part * RUNS // PARTS, (part + 1) * RUNS // PARTS)
    lives, gemini = asyncio.run(lived(seeds, tmp_path / "nadg.db"))
    for life in lives:
        check_kept(life, gemini.bills[life.case.run_id])
        check_progress(life)
    _check_that_it_shows_anything(lives, gemini.kinds)


def _check_that_it_shows_anything(lives: list[Life], kinds: Counter[str]) -> None:
    spent_out = [one for one in lives if any(isinstance(end, BudgetSpent) for end in one.driven.failures.values())]
    assert len(lives) == RUNS // PARTS
    assert all(kinds[kind] > 5 for kind in KINDS), kinds
    assert len(spent_out) > len(lives) / 5
    assert sum(one.restarts > 0 for one in spent_out) > len(lives) / 20
    assert sum(len(one.driven.replies) == len(one.case.calls) for one in lives) > len(lives) / 5
