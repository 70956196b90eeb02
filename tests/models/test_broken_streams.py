"""A stream that breaks off leaves nothing behind that the event loop would complain of when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from nadg.models.call import TemporarilyDown
from tests.models.clients import Sink, google_bench, openai_bench
from tests.support.gemini import Answer, BreakOff, DropConnection, Hang, Say

LONG = "A text of some length, which comes in several pieces when it is streamed. " * 20
BROKEN = 10
both = pytest.mark.parametrize("bench", [google_bench, openai_bench])


class FaultySink(Sink):
    """Falls over the first piece."""

    def text(self, piece: str) -> None:
        raise RuntimeError("the reader is broken")


def complaints_of(body: Any) -> list[dict[str, Any]]:
    """What reached the loop's exception handler, to the end of the loop."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await body()

    asyncio.run(watched())
    return complaints


@both
@pytest.mark.parametrize("broken", [BreakOff(LONG, after=36), DropConnection(LONG, after=36)])
def test_broken_streams_are_closed(bench: Any, broken: Answer) -> None:
    async def body() -> None:
        async with bench(*[broken] * BROKEN, Say(LONG)) as house:
            for _ in range(BROKEN):
                assert isinstance(await house.failure(Sink()), TemporarilyDown)
            assert (await house.ask(sink=Sink())).text == LONG

    for _ in range(3):
        assert complaints_of(body) == []


@both
def test_a_reader_s_fault_leaves_no_stream_open(bench: Any) -> None:
    async def body() -> None:
        async with bench(*[Say(LONG)] * BROKEN) as house:
            for _ in range(BROKEN):
                with pytest.raises(RuntimeError, match="the reader is broken"):
                    await house.ask(sink=FaultySink())

    assert complaints_of(body) == []


@both
def test_streams_that_time_out_are_closed(bench: Any) -> None:
    async def body() -> None:
        async with bench(*[Hang(text="a beginning")] * 3, timeout_seconds=0.2) as house:
            for _ in range(3):
                with contextlib.suppress(TemporarilyDown):
                    await house.ask(sink=Sink())

    assert complaints_of(body) == []
