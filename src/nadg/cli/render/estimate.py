"""What a run is likely to take of language models, in one line."""

from __future__ import annotations

from typing import Protocol

from nadg.cli.render.units import counted
from nadg.cli.render.usage import FREE, LEAST_USD, PRICE_UNKNOWN, money
from nadg.domain.model_calls import Budget


class ShownEstimate(Protocol):
    """What is known before a run begins."""

    @property
    def calls(self) -> int: ...

    @property
    def at_least(self) -> bool:
        """How many items some work has shows only while it runs."""
        ...

    @property
    def input_tokens(self) -> int: ...

    @property
    def output_tokens(self) -> int: ...

    @property
    def cost_usd(self) -> float | None:
        """None where the price of any of the models is not known."""
        ...

    @property
    def shards(self) -> int: ...

    @property
    def budget(self) -> Budget:
        """The most that the run may spend."""
        ...


def estimate_lines(estimate: ShownEstimate | None) -> list[str]:
    """The estimate and, where the budget is less, a word about that; nothing where there is none."""
    if estimate is None:
        return []
    exceeded = _exceeded(estimate)
    if not exceeded:
        return [estimate_line(estimate)]
    warning = f"the estimate is above the budget of {exceeded}; the run will stop when it is used up"
    return [estimate_line(estimate), warning]


def _exceeded(estimate: ShownEstimate) -> str:
    budget, tokens = estimate.budget, estimate.input_tokens + estimate.output_tokens
    if budget.usd is not None and estimate.cost_usd is not None and estimate.cost_usd > budget.usd:
        return money(budget.usd)
    return f"{budget.tokens:,} tokens" if budget.tokens is not None and tokens > budget.tokens else ""


def estimate_line(estimate: ShownEstimate) -> str:
    """`Estimate: at least 12 calls, about 9,000 tokens in and 2,000 out, $0.0031, 4 shards`."""
    shards = counted(estimate.shards, "shard")
    if not estimate.calls and not estimate.at_least:
        return f"Estimate: no calls of a language model, {shards}"
    least = "at least " if estimate.at_least else ""
    calls = counted(estimate.calls, "call")
    tokens = f"about {estimate.input_tokens:,} tokens in and {estimate.output_tokens:,} out"
    return f"Estimate: {least}{calls}, {tokens}, {_cost(estimate)}, {shards}"


def _cost(estimate: ShownEstimate) -> str:
    """A model on this machine costs nothing, however often it is asked."""
    usd = estimate.cost_usd
    if usd is None:
        return PRICE_UNKNOWN
    if usd == 0:
        return FREE
    return f"at least {money(usd)}" if estimate.at_least and usd >= LEAST_USD else money(usd)
