"""A sender that can wait is told when a slow link has caught up, or has ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nadg.domain.errors import LinkLost
from nadg.link.blobfolder import BlobFolder
from nadg.link.frames import Output
from nadg.link.session import Session

TEXT = "x" * 10_000


class SlowWire:
    """Sends a message each time it is allowed to; hears nothing until it is closed."""

    def __init__(self) -> None:
        self.may_send = asyncio.Semaphore(0)
        self.gone = asyncio.Event()

    async def send(self, _message: bytes) -> None:
        await self.may_send.acquire()

    async def receive(self) -> bytes:
        await self.gone.wait()
        raise LinkLost("gone")

    async def close(self, _reason: str) -> None:
        self.gone.set()


def _say_much(session: Session) -> None:
    for _ in range(200):
        session.send(Output(attempt_id="a", stream="stdout", text=TEXT))


def test_a_sender_is_told_when_little_waits(tmp_path: Path) -> None:
    async def body() -> None:
        wire = SlowWire()
        session = Session(wire, BlobFolder(tmp_path), lambda _: None)
        assert session.eased(1).done(), "nothing waits"
        running = asyncio.create_task(session.run())
        _say_much(session)
        eased = session.eased(10 * len(TEXT))
        assert session.eased(10 * len(TEXT)) is eased
        assert not eased.done()
        for _ in range(200):
            wire.may_send.release()
        await eased
        assert session.pending_bytes < 10 * len(TEXT)
        wire.gone.set()
        await running

    asyncio.run(body())


def test_the_end_of_a_link_lets_senders_go(tmp_path: Path) -> None:
    async def body() -> None:
        wire = SlowWire()
        session = Session(wire, BlobFolder(tmp_path), lambda _: None)
        running = asyncio.create_task(session.run())
        _say_much(session)
        eased = session.eased(1)
        assert not eased.done()
        wire.gone.set()
        await running
        await eased
        assert session.eased(0).done()

    asyncio.run(body())
