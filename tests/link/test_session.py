from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.errors import BlobRefused, LinkLost, LinkRefused, NotFound
from nadg.link.blobfolder import BlobFolder
from nadg.link.frames import (
    CHUNK_BYTES,
    BlobData,
    BlobWant,
    Bye,
    Cancel,
    Frame,
    Hello,
    Ping,
    decode_message,
    encode_frame,
    join_message,
)
from nadg.link.session import Session, receive_hello
from nadg.link.transfers import WINDOW_BYTES


class MemoryWire:
    """One end of a pair; counts what it sends."""

    def __init__(self, incoming: asyncio.Queue[bytes | None], outgoing: asyncio.Queue[bytes | None]) -> None:
        self.incoming, self.outgoing = incoming, outgoing
        self.sent: list[bytes] = []
        self.closed = asyncio.Event()
        self.sending = asyncio.Event()

    async def wait_sent(self, enough: Callable[[], bool]) -> None:
        """Return when what was sent is enough."""
        while not enough():
            self.sending.clear()
            await self.sending.wait()

    async def send(self, message: bytes) -> None:
        if self.closed.is_set():
            raise LinkLost("closed here")
        self.sent.append(message)
        self.sending.set()
        await self.outgoing.put(message)

    async def receive(self) -> bytes:
        message = await self.incoming.get()
        if message is None:
            raise LinkLost("closed there")
        return message

    async def close(self, reason: str) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self.outgoing.put_nowait(None)

    def frames(self) -> list[Frame]:
        return [frame for message in self.sent for frame in decode_message(message)]


def wire_pair() -> tuple[MemoryWire, MemoryWire]:
    one: asyncio.Queue[bytes | None] = asyncio.Queue()
    other: asyncio.Queue[bytes | None] = asyncio.Queue()
    return MemoryWire(one, other), MemoryWire(other, one)


class Ends:
    """Two running sessions and what each heard."""

    def __init__(self, folder: Path, ping_seconds: float = 60.0) -> None:
        self.left_wire, self.right_wire = wire_pair()
        self.left_blobs, self.right_blobs = BlobFolder(folder / "left"), BlobFolder(folder / "right")
        self.heard: asyncio.Queue[Frame] = asyncio.Queue()
        self.left = Session(self.left_wire, self.left_blobs, lambda _: None, ping_seconds=ping_seconds)
        self.right = Session(self.right_wire, self.right_blobs, self.heard.put_nowait, ping_seconds=ping_seconds)


def with_ends(folder: Path, use: Callable[[Ends], Awaitable[None]]) -> tuple[str, str]:
    """Run both ends while `use` uses them; returns why each ended."""

    async def body() -> tuple[str, str]:
        ends = Ends(folder)
        async with asyncio.TaskGroup() as tasks:
            left, right = tasks.create_task(ends.left.run()), tasks.create_task(ends.right.run())
            await use(ends)
            ends.left.close("test over")
        return left.result(), right.result()

    return asyncio.run(body())


def alone(
    peer: Callable[[MemoryWire], Coroutine[Any, Any, None]], folder: Path, ping_seconds: float = 60.0
) -> str:
    """Run one session against `peer`, which speaks raw messages. Returns why the session ended."""

    async def body() -> str:
        near, far = wire_pair()
        session = Session(near, BlobFolder(folder), lambda _: None, ping_seconds=ping_seconds)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(session.run())
            talking = tasks.create_task(peer(far))
            reason = await running
            talking.cancel()
        assert near.closed.is_set()
        return reason

    return asyncio.run(body())


@pytest.mark.parametrize(
    "message",
    [
        b"rubbish",
        msgspec.msgpack.encode([{"frame": "unheard_of"}]),
        join_message([encode_frame(Hello(peer_id="again", version=1))]),
        join_message([encode_frame(BlobWant(sha256="0" * 64, offset=0, length=CHUNK_BYTES + 1))]),
        join_message([encode_frame(BlobWant(sha256="0" * 64, offset=-1, length=1))]),
        join_message([encode_frame(BlobData(sha256="0" * 64, offset=0, data=b"unasked"))]),
    ],
)
def test_a_bad_frame_closes_the_link_with_a_reason_on_both_ends(tmp_path: Path, message: bytes) -> None:
    last: list[Frame] = []

    async def peer(wire: MemoryWire) -> None:
        await wire.send(message)
        last.extend(decode_message(await wire.receive()))

    assert alone(peer, tmp_path).startswith("refused: ")
    assert isinstance(last[-1], Bye)
    assert last[-1].reason.startswith("refused: ")


def test_a_silent_peer_is_pinged_and_then_given_up(tmp_path: Path) -> None:
    got: list[Frame] = []

    async def peer(wire: MemoryWire) -> None:
        with contextlib.suppress(LinkLost):
            while True:
                got.extend(decode_message(await wire.receive()))

    assert "nothing was heard" in alone(peer, tmp_path, ping_seconds=0.02)
    assert {type(frame) for frame in got} == {Ping}


def test_an_idle_but_living_peer_is_kept(tmp_path: Path) -> None:
    async def body() -> None:
        ends = Ends(tmp_path, ping_seconds=0.02)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(ends.left.run()), tasks.create_task(ends.right.run())]
            wire = ends.left_wire
            await wire.wait_sent(lambda: sum(isinstance(frame, Ping) for frame in wire.frames()) >= 5)
            assert not any(task.done() for task in running)
            ends.left.close("enough")

    asyncio.run(body())


def test_a_blob_whose_bytes_do_not_match_is_refused(tmp_path: Path) -> None:
    ref = BlobRef(sha256=hashlib.sha256(b"right").hexdigest(), size=5)

    async def use(ends: Ends) -> None:
        liar = ends.left_blobs.path(ends.left_blobs.put(b"right").sha256)
        liar.unlink()
        liar.write_bytes(b"wrong")
        with pytest.raises(BlobRefused):
            await ends.right.fetch([ref])
        assert not ends.right_blobs.has(ref.sha256)

    with_ends(tmp_path, use)


def test_an_absent_and_a_short_blob_are_not_found_and_the_link_lives_on(tmp_path: Path) -> None:
    async def use(ends: Ends) -> None:
        short = ends.left_blobs.put(b"x" * CHUNK_BYTES)
        with pytest.raises(NotFound):
            await ends.right.fetch([BlobRef(sha256="0" * 64, size=10 * CHUNK_BYTES)])
        with pytest.raises(NotFound, match="shorter"):
            await ends.right.fetch([BlobRef(sha256=short.sha256, size=3 * CHUNK_BYTES)])
        good = ends.left_blobs.put(b"good")
        await ends.right.fetch([good])
        assert ends.right_blobs.read(good.sha256) == b"good"

    with_ends(tmp_path, use)


def test_a_fetch_under_way_fails_when_the_link_ends(tmp_path: Path) -> None:
    async def body() -> None:
        near, far = wire_pair()
        session = Session(near, BlobFolder(tmp_path), lambda _: None)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            fetching = tasks.create_task(_expect_lost(session))
            await far.receive()
            await far.close("cut")
            await fetching
        with pytest.raises(LinkLost):
            await session.fetch([BlobRef(sha256="1" * 64, size=1)])
        assert list((tmp_path / "incoming").iterdir()) == []

    async def _expect_lost(session: Session) -> None:
        with pytest.raises(LinkLost):
            await session.fetch([BlobRef(sha256="0" * 64, size=1)])

    asyncio.run(body())


def test_a_blob_wanted_by_many_at_once_crosses_once(tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_345

    async def use(ends: Ends) -> None:
        ref = ends.left_blobs.put(data)
        await asyncio.gather(*(ends.right.fetch([ref]) for _ in range(100)))
        await ends.right.fetch([ref])
        assert ends.right_blobs.read(ref.sha256) == data
        assert ends.right.received_blob_bytes == len(data)

    with_ends(tmp_path, use)


def test_what_is_asked_for_at_a_time_is_bounded(tmp_path: Path) -> None:
    async def body() -> int:
        near, far = wire_pair()
        session = Session(near, BlobFolder(tmp_path), lambda _: None)
        asked = 0
        refs = [BlobRef(sha256=f"{n:064x}", size=100 * CHUNK_BYTES) for n in range(5)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            fetching = tasks.create_task(session.fetch(refs))
            while asked < WINDOW_BYTES:
                wants = [one for one in decode_message(await far.receive()) if isinstance(one, BlobWant)]
                asked += sum(want.length for want in wants)
            assert {want.sha256 for want in near_wants(near)} == {ref.sha256 for ref in refs}
            fetching.cancel()
            session.close("enough")
        return asked

    def near_wants(wire: MemoryWire) -> list[BlobWant]:
        return [one for one in wire.frames() if isinstance(one, BlobWant)]

    assert asyncio.run(body()) == WINDOW_BYTES


def test_frames_are_not_held_up_by_a_large_blob(tmp_path: Path) -> None:
    async def use(ends: Ends) -> None:
        ref = ends.left_blobs.put(bytes(40 * CHUNK_BYTES))
        async with asyncio.TaskGroup() as tasks:
            fetching = tasks.create_task(ends.right.fetch([ref]))
            await ends.left_wire.wait_sent(lambda: len(ends.left_wire.sent) >= 3)
            ends.left.send(Cancel(attempt_id="a"))
            assert await ends.heard.get() == Cancel(attempt_id="a")
            assert not fetching.done()

    with_ends(tmp_path, use)


def test_an_empty_blob_and_one_that_is_here_cost_no_frame(tmp_path: Path) -> None:
    async def use(ends: Ends) -> None:
        here = ends.right_blobs.put(b"here")
        await ends.right.fetch([here, BlobRef(sha256=hashlib.sha256(b"").hexdigest(), size=0)])
        assert ends.right_wire.sent == []

    with_ends(tmp_path, use)


def test_frames_sent_together_travel_together_in_order(tmp_path: Path) -> None:
    async def use(ends: Ends) -> None:
        for number in range(1000):
            ends.left.send(Cancel(attempt_id=str(number)))
        heard = [await ends.heard.get() for _ in range(1000)]
        assert heard == [Cancel(attempt_id=str(number)) for number in range(1000)]
        assert len(ends.left_wire.sent) == 1

    with_ends(tmp_path, use)


def test_what_may_wait_goes_with_what_may_not_or_by_itself(tmp_path: Path) -> None:
    async def use(ends: Ends) -> None:
        ends.left.send(Cancel(attempt_id="a"), soon=False)
        ends.left.send(Cancel(attempt_id="b"), soon=False)
        ends.left.send(Cancel(attempt_id="c"))
        assert [await ends.heard.get() for _ in "abc"] == [Cancel(attempt_id=one) for one in "abc"]
        ends.left.send(Cancel(attempt_id="d"), soon=False)
        assert await ends.heard.get() == Cancel(attempt_id="d")
        assert len(ends.left_wire.sent) == 2

    with_ends(tmp_path, use)


def test_a_clean_close_says_what_is_queued_and_why(tmp_path: Path) -> None:
    async def use(ends: Ends) -> None:
        ends.left.send(Cancel(attempt_id="last words"))

    assert with_ends(tmp_path, use) == ("test over", "the other end closed: test over")


def test_a_greeting_of_another_version_is_answered_with_the_reason() -> None:
    async def body() -> None:
        near, far = wire_pair()
        await far.send(join_message([encode_frame(Hello(peer_id="m", version=99))]))
        with pytest.raises(LinkRefused, match="version 2, the other 99"):
            await receive_hello(near, "master")
        (bye,) = decode_message(await far.receive())
        assert isinstance(bye, Bye)
        assert "upgrade" in bye.reason

    asyncio.run(body())
