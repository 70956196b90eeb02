"""What a run has spent and set aside, and what its budget leaves; plain sums, no waiting and no storage."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nadg.domain.model_calls import Budget, CallCharge, CallRecord, ModelUsage
from nadg.models.call import Wanted

SHORTEST_ANSWER_TOKENS = 64
"""A shortened answer is never shorter: a label or a sentence fits; less would be paid for and then cut off."""
SHORTEST_PLAN_TOKENS = 512
"""The same for a plan, which is of no use unless it is whole."""


class Spending:
    """The counter of one run."""

    def __init__(self, budget: Budget, records: Iterable[CallRecord] = ()) -> None:
        self.budget = budget
        self.spent_tokens = 0
        self.spent_usd = 0.0
        """Of all whose price is known; what was charged and never settled counts as charged."""
        self.unpriced = ""
        """A model that was used and whose price is not known."""
        self.usage = ModelUsage()
        """What is known to have been used, so without what calls of unknown end may have taken."""
        self._reserved: dict[str, CallCharge] = {}
        for record in records:
            self._restore(record)

    @property
    def reserved_tokens(self) -> int:
        return sum(charge.tokens for charge in self._reserved.values())

    @property
    def reserved_usd(self) -> float:
        return sum(charge.cost_usd or 0.0 for charge in self._reserved.values())

    @property
    def in_flight(self) -> int:
        """Charges whose settling may still free something."""
        return len(self._reserved)

    def longest_answer(self, wanted: Wanted) -> float:
        """How many tokens the answer may have at most, in what is neither spent nor set aside."""
        return min(self._left_in_tokens(wanted), self._left_in_usd(wanted))

    def narrower(self, wanted: Wanted) -> str:
        """The option that sets the bound which leaves the less for its answer."""
        in_tokens = self._left_in_tokens(wanted) <= self._left_in_usd(wanted)
        return "--budget-tokens" if in_tokens else "--budget-usd"

    def _left_in_tokens(self, wanted: Wanted) -> float:
        if self.budget.tokens is None:
            return math.inf
        return self.budget.tokens - self.spent_tokens - self.reserved_tokens - wanted.input_tokens

    def _left_in_usd(self, wanted: Wanted) -> float:
        if self.budget.usd is None:
            return math.inf
        return _tokens_for(self.budget.usd - self.spent_usd - self.reserved_usd, wanted)

    def reserve(self, charge: CallCharge) -> None:
        self._reserved[charge.id] = charge

    def free(self, charge_id: str) -> CallCharge | None:
        """It was never sent, or is settled elsewhere; None where it is not set aside any more."""
        return self._reserved.pop(charge_id, None)

    def lose(self, charge_id: str) -> None:
        """Nobody will ever know what came of it: it stays spent as it was set aside."""
        charge = self.free(charge_id)
        if charge is not None:
            self._count_charge(charge)

    def settle(self, charge_id: str, usage: ModelUsage) -> None:
        """Put what it took in place of what was set aside; the first time counts."""
        charge = self.free(charge_id)
        if charge is not None:
            self._count(charge, usage)

    def add_cached(self, usage: ModelUsage) -> None:
        self.usage = self.usage.plus(usage)

    def _restore(self, record: CallRecord) -> None:
        if record.state == "cached":
            self.add_cached(record.usage or ModelUsage())
        elif record.state == "charged" or record.usage is None:
            self._count_charge(record.charge)
        else:
            self._count(record.charge, record.usage)

    def _count_charge(self, charge: CallCharge) -> None:
        self.spent_tokens += charge.tokens
        self._pay(charge.model, charge.cost_usd)
        self.usage = self.usage.plus(ModelUsage(requests=1))

    def _count(self, charge: CallCharge, usage: ModelUsage) -> None:
        self.spent_tokens += usage.tokens
        self._pay(charge.model, usage.cost_usd if usage.cost_usd is not None else charge.cost_usd)
        self.usage = self.usage.plus(usage)

    def _pay(self, model: str, usd: float | None) -> None:
        if usd is None:
            self.unpriced = model
        self.spent_usd += usd or 0.0


def shortest_answer(wanted: Wanted) -> int:
    """Tokens; with less room than that it is not asked."""
    shortest = SHORTEST_PLAN_TOKENS if wanted.purpose == "plan" else SHORTEST_ANSWER_TOKENS
    return min(shortest, wanted.max_output_tokens)


def cost_usd(wanted: Wanted, output_tokens: int) -> float | None:
    """What it comes to with an answer of that length; None where the price is not known."""
    if wanted.input_usd_per_token is None or wanted.output_usd_per_token is None:
        return None
    return wanted.input_tokens * wanted.input_usd_per_token + output_tokens * wanted.output_usd_per_token


def _tokens_for(usd: float, wanted: Wanted) -> float:
    """The longest answer for that money; less than nothing where the input alone is too dear."""
    left = usd - (cost_usd(wanted, 0) or 0.0)
    if left < 0:
        return -1
    price = wanted.output_usd_per_token or 0.0
    return math.inf if price == 0 else left / price
