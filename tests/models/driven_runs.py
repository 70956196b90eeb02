"""Runs that ask for many things at once, a provider that bills by chance, and a power cut in the middle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from nadg.domain.errors import ModelError, StoreUnavailable
from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage
from nadg.models.call import (
    Account,
    ClientReply,
    Door,
    ModelCall,
    RateLimited,
    Reply,
    RequestBlocked,
    TemporarilyDown,
    TextSink,
)
from nadg.models.estimate import estimate_input
from nadg.models.memory import Ledger
from nadg.models.prices import cost
from tests.models.clients import Sink
from tests.support.virtual_time import pass_time


class Driven:
    """What came of a run's calls so far, by their place."""

    def __init__(self) -> None:
        self.replies: dict[int, Reply] = {}
        self.failures: dict[int, ModelError] = {}

    def open_of(self, calls: Sequence[ModelCall]) -> list[int]:
        """The places of those that nothing is known of yet."""
        return [place for place in range(len(calls)) if place not in self.replies | self.failures]


async def drive_run(
    door: Door,
    account: Account,
    calls: Sequence[ModelCall],
    driven: Driven,
    *,
    width: int,
    streamed: bool = False,
) -> None:
    """Ask for all that is open, `width` at a time; `driven` is told as it happens."""
    waiting = driven.open_of(calls)

    async def ask_on() -> None:
        while waiting:
            place = waiting.pop(0)
            try:
                sink = Sink() if streamed else None
                driven.replies[place] = await door.ask(calls[place], account, sink)
            except ModelError as error:
                driven.failures[place] = error

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(ask_on())


async def drive_until(
    seconds: float | None,
    ledger: CutLedger,
    door: Door,
    account: Account,
    calls: Sequence[ModelCall],
    driven: Driven,
    *,
    width: int,
    streamed: bool = False,
) -> bool:
    """Whether all was done before the power was cut: after so many seconds, or when the ledger is."""
    driving = asyncio.create_task(drive_run(door, account, calls, driven, width=width, streamed=streamed))
    cut = asyncio.create_task(ledger.until_cut())
    await asyncio.wait({driving, cut}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    cut.cancel()
    if driving.done() and not ledger.is_cut:
        await driving
        return True
    ledger.cut()
    known = dict(driven.replies), dict(driven.failures)
    driving.cancel()
    await asyncio.wait({driving})
    if not driving.cancelled():
        driving.exception()  # of no interest: it is the writes that failed
    driven.replies, driven.failures = known
    return False


class CutLedger:
    """A ledger until the power is cut; then nothing that is written arrives.

    With `writes` it is cut by itself: that many arrive. The caller of the last one never hears of it.
    """

    def __init__(self, ledger: Ledger, writes: int | None = None) -> None:
        self._ledger, self._left = ledger, writes
        self._cut = asyncio.Event()

    @property
    def is_cut(self) -> bool:
        return self._cut.is_set()

    def cut(self) -> None:
        self._cut.set()

    async def until_cut(self) -> None:
        await self._cut.wait()

    async def charge(self, charge: CallCharge) -> None:
        await self._write(lambda: self._ledger.charge(charge))

    async def settle(self, call_id: str, state: str, usage: ModelUsage | None, reason: str = "") -> None:
        await self._write(lambda: self._ledger.settle(call_id, state, usage, reason))

    async def record(self, record: CallRecord) -> None:
        await self._write(lambda: self._ledger.record(record))

    async def calls(self, run_id: str) -> Sequence[CallRecord]:
        return await self._ledger.calls(run_id)

    async def _write(self, write: Callable[[], Awaitable[None]]) -> None:
        self._check()
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                await write()
                self.cut()
                self._check()
        await write()

    def _check(self) -> None:
        if self.is_cut:
            raise StoreUnavailable("the power is cut")


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider makes of one request."""

    tokens: int
    usd: float


class BillingClient:
    """A `ModelClient` whose provider bills each request when it comes, whatever becomes of its answer.

    `excess`: the share by which it may count more input tokens than were estimated.
    """

    def __init__(self, chance: random.Random, provider: str, excess: float) -> None:
        self._chance, self._provider, self._excess = chance, provider, excess
        self.bills: list[Bill] = []

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        luck = self._chance.random()
        if luck < 0.05:
            raise RateLimited("slow down", retry_after=self._chance.choice([None, 2.0, 20.0]))
        if luck < 0.1:
            raise TemporarilyDown("overloaded")
        count = int(estimate_input(call) * self._chance.uniform(0.5, 1 + self._excess))
        length = max_output_tokens if luck > 0.8 else self._chance.randint(1, max_output_tokens)
        self._bill(model, count, length)
        await pass_time(self._chance.uniform(0, 20))
        if luck < 0.15:
            raise TemporarilyDown("broken off", billed=True, received_tokens=length)
        if luck < 0.2:
            raise TemporarilyDown("silent", billed=True)
        if luck < 0.23:
            raise RequestBlocked("blocked", billed=True, received_tokens=length)
        thinking = self._chance.randint(0, length - 1)
        return ClientReply(
            text="yes",
            input_tokens=count,
            output_tokens=length - thinking,
            thinking_tokens=thinking,
            truncated=length == max_output_tokens,
        )

    def _bill(self, model: str, input_tokens: int, output_tokens: int) -> None:
        name = f"{self._provider}:{model}"
        usd = cost(name, input_tokens=input_tokens, output_tokens=output_tokens)
        assert usd is not None
        self.bills.append(Bill(tokens=input_tokens + output_tokens, usd=usd))


def billed(clients: Mapping[str, BillingClient]) -> list[Bill]:
    """All that the providers put on the bill."""
    return [bill for client in clients.values() for bill in client.bills]
