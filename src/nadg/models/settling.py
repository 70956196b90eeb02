"""What one request took, put in place of what was set aside for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from nadg.domain.clock import Clock
from nadg.domain.model_calls import ModelUsage, Settlement
from nadg.models.call import Account, ClientReply, Granted, RateLimited, RequestBlocked, RequestFailed
from nadg.models.prices import PriceList

Result = TypeVar("Result")


class Bill:
    """One request that was charged; opened just before it is sent. Exactly one of the endings is called."""

    def __init__(
        self,
        prices: PriceList,
        clock: Clock,
        account: Account,
        model: str,
        input_tokens: int,
        granted: Granted,
    ) -> None:
        """`input_tokens` as estimated."""
        self._prices, self._clock, self._account, self._model = prices, clock, account, model
        self._input_tokens, self._granted = input_tokens, granted
        self._start = clock.monotonic()

    async def answered(self, answer: ClientReply, *, fit: bool) -> ModelUsage:
        """What the provider counted; an answer that is not `fit` for use counts among the failures."""
        usage = self._usage(answer.input_tokens, answer.output_tokens, answer.thinking_tokens, answered=fit)
        reason = "" if fit else f"cut off at {self._granted.max_output_tokens} tokens"
        return await self._settle("answered" if fit else "failed", usage, reason)

    async def failed(self, error: RequestFailed) -> ModelUsage:
        """Nothing where the provider does not charge; else what had come, or all that could have."""
        state: Settlement = "refused" if isinstance(error, RateLimited) else "failed"
        return await self._settle(state, self._usage_of_failure(error), f"{type(error).__name__}: {error}")

    async def given_up(self, error: BaseException) -> ModelUsage:
        """Nobody will learn what it cost: what was set aside stays."""
        return await self._settle("failed", self._most(), f"given up: {type(error).__name__}")

    def _usage_of_failure(self, error: RequestFailed) -> ModelUsage:
        if not error.billed:
            return self._usage(0, 0)
        if error.received_tokens or isinstance(error, RequestBlocked):
            return self._usage(self._input_tokens, error.received_tokens)
        return self._most()

    def _most(self) -> ModelUsage:
        """What was set aside: at the highest price that the model has."""
        price = self._prices.price_of(self._model)
        tokens_in, tokens_out = self._input_tokens, self._granted.max_output_tokens
        cost = None
        if price is not None:
            cost = tokens_in * price.input_usd_per_token + tokens_out * price.output_usd_per_token
        return self._counted(tokens_in, tokens_out, 0, cost, answered=False)

    def _usage(
        self, input_tokens: int, output_tokens: int, thinking_tokens: int = 0, *, answered: bool = False
    ) -> ModelUsage:
        written = output_tokens + thinking_tokens
        cost: float | None = 0.0
        if input_tokens or written:
            cost = self._prices.cost(self._model, input_tokens=input_tokens, output_tokens=written)
        return self._counted(input_tokens, output_tokens, thinking_tokens, cost, answered=answered)

    def _counted(
        self, input_tokens: int, output_tokens: int, thinking_tokens: int, cost: float | None, *, answered: bool
    ) -> ModelUsage:
        return ModelUsage(
            models=(self._model,) if answered else (),
            answers=int(answered),
            requests=1,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            thinking_tokens=thinking_tokens,
            cost_usd=cost,
            latency_seconds=self._clock.monotonic() - self._start,
        )

    async def _settle(self, state: Settlement, usage: ModelUsage, reason: str) -> ModelUsage:
        await self._account.settle(self._granted.charge_id, state, usage, reason)
        return usage


async def unbroken(work: Awaitable[Result]) -> Result:
    """Do it to its end even where the caller is cancelled meanwhile; the cancellation comes after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001 - it is the task's own, and raised below
            break
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
