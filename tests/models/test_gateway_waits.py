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
from tests.models.clients import call_of
from tests.models.doors import LITE, JumpingClock, NotingAccount, gemini_house
from tests.support.gemini import Quota, Say
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


def test_a_wait_for_the_day_tells_of_an_unknown_fallback_in_one_sentence() -> None:
    async def body() -> None:
        clock = JumpingClock()
        quota = Quota(requests_per_day=1, time=clock.epoch)
        unknown = "google:gemini-9"
        async with gemini_house(Say("one"), Say("two"), quota=quota, clock=clock, fallbacks=(unknown,)) as house:
            account = NotingAccount()
            await house.door.ask(call_of("first"), account)
            assert (await house.door.ask(call_of("second"), account)).text == "two"
        assert account.notices[-1] == (
            f"{LITE} allows no more requests today, and its fallback {unknown} is unknown "
            "(set NADG_MODEL_FALLBACKS); the run waits until 2026-11-26 08:00 UTC"
        )

    asyncio.run(body())


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
