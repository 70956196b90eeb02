"""A refusal is heeded at once: what else is to be done about it must not let others run into it."""

from __future__ import annotations

import asyncio

from nadg.domain.model_calls import Budget, ModelUsage
from nadg.models.account import RunAccount
from nadg.models.call import ClientReply, ModelCall, RateLimited, TextSink, Turn
from nadg.models.configuration import ModelSettings
from nadg.models.fake import FakeAnswerCache, FakeLedger
from nadg.models.gateway import Gateway
from nadg.models.governor import Governor
from tests.support.virtual_time import LoopClock, pass_time, run_virtually

MODEL = "google:gemini-3.5-flash-lite"
CALL = ModelCall(purpose="prompt", turns=(Turn(role="user", text="?"),), max_output_tokens=10)


class SlowLedger(FakeLedger):
    """Takes its time to settle."""

    async def settle(self, call_id: str, state: str, usage: ModelUsage | None, reason: str = "") -> None:
        await pass_time(5)
        await super().settle(call_id, state, usage, reason)


class RefusingOnce:
    """A client that notes when it is asked."""

    def __init__(self, clock: LoopClock) -> None:
        self.times: list[float] = []
        self._clock = clock

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        self.times.append(self._clock.monotonic())
        if len(self.times) == 1:
            raise RateLimited("slow down", retry_after=30.0)
        return ClientReply(text="yes", input_tokens=1, output_tokens=1)


def test_nobody_is_let_go_while_a_refusal_is_written_down() -> None:
    async def body() -> None:
        clock = LoopClock()
        client = RefusingOnce(clock)
        governor = Governor({}, clock=clock, time=clock.monotonic)
        door = Gateway(ModelSettings(model=MODEL), {"google": client}, governor, FakeAnswerCache(), clock)
        account = await RunAccount.open("run", Budget(), SlowLedger(), clock=clock)
        first = asyncio.create_task(door.ask(CALL, account))
        await pass_time(1)
        await asyncio.gather(first, door.ask(CALL, account))
        assert client.times == [0, 30, 30]

    run_virtually(body())
