"""A master that says to a worker, frame by frame, what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from nadg.domain.assignment import Assignment, Code, Job, Whole
from nadg.link.dial import DialledWire, dial
from nadg.link.frames import VERSION, Assign, Frame, Hello, decode_message, encode_frame, join_message


class RawMaster:
    """One end of a link."""

    def __init__(self, wire: DialledWire) -> None:
        self.wire = wire
        self.heard: list[Frame] = []

    async def say(self, *frames: Frame) -> None:
        await self.wire.send(join_message([encode_frame(frame) for frame in frames]))

    async def hear(self, kind: type[Any], attempt_id: str = "") -> Any:
        """The next frame of this kind; what comes before it is kept in `heard`."""
        async with asyncio.timeout(30):
            while True:
                for index, frame in enumerate(self.heard):
                    if isinstance(frame, kind) and attempt_id in ("", getattr(frame, "attempt_id", "")):
                        return self.heard.pop(index)
                self.heard.extend(decode_message(await self.wire.receive()))

    async def assign(self, attempt_id: str, work: str | Job = "result = 1", **fields: Any) -> None:
        job = Code(code=work) if isinstance(work, str) else work
        assignment = Assignment(attempt_id=attempt_id, job=job, piece=Whole(), **fields)
        await self.say(Assign(assignment=assignment))


@contextlib.asynccontextmanager
async def open_link(worker: Any, peer_id: str = "m") -> AsyncIterator[tuple[RawMaster, Hello]]:
    wire = await dial(worker.url, worker.token)
    try:
        master = RawMaster(wire)
        await master.say(Hello(version=VERSION, peer_id=peer_id))
        yield master, await master.hear(Hello)
    finally:
        await wire.close("test over")


def linked(worker: Any, use: Callable[[RawMaster], Awaitable[None]], peer_id: str = "m") -> None:
    """Use a link for the length of a test."""

    async def body() -> None:
        async with open_link(worker, peer_id) as (master, _):
            await use(master)

    asyncio.run(body())
