"""One end of a link: frames out in batches, frames in, blobs both ways, and whether the other end lives.

A session does not know who dialled, nor which WebSocket library carries it. Frames are handed to
`on_frame` as plain calls, in order; whoever takes them must not block.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from nadg.domain.blob import BlobRef, Blobs
from nadg.domain.errors import LinkLost, LinkRefused, NotFound
from nadg.link.frames import (
    CHUNK_BYTES,
    BlobAbsent,
    BlobData,
    BlobWant,
    Bye,
    Frame,
    Hello,
    Ping,
    Pong,
    decode_message,
    encode_frame,
    join_message,
    require_hello,
)
from nadg.link.transfers import Transfers
from nadg.link.wire import Wire

BATCH_BYTES = 256 << 10
"""A message is closed when its frames reach this; one larger frame travels alone."""
GAP_SECONDS = 0.001
BURST = 8
"""So many messages go out at once; after them one every GAP_SECONDS, which gathers the frames of a busy link."""
LATER_SECONDS = 0.02
"""How long a frame that nobody waits for may wait for company."""
MAX_WANTS = 4096
"""More unanswered wants than this from the other end is a broken peer."""
LOOKED_UP_AT_ONCE = 500
"""Blobs that `fetch` looks for on this disk before others have their turn."""
PING_SECONDS = 3.0
MISSES = 3
"""So many silent periods in a row, each with a ping, and the other end counts as gone."""
GOODBYE_SECONDS = 1.0
HELLO_SECONDS = 10.0


class Session:
    """One end of an open link, after the greeting. `run` may be awaited once."""

    def __init__(
        self,
        wire: Wire,
        blobs: Blobs,
        on_frame: Callable[[Frame], None],
        *,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self._wire = wire
        self._blobs = blobs
        self._on_frame = on_frame
        self._ping_seconds = ping_seconds
        self._outgoing: deque[bytes] = deque()
        self._outgoing_bytes = 0
        self._wants: deque[BlobWant] = deque()
        self._wake = asyncio.Event()
        self._eased: asyncio.Future[None] | None = None
        self._eased_below = 0
        self._transfers = Transfers(blobs, self.send)
        self._later: asyncio.TimerHandle | None = None
        self._heard = True
        self._ended = False
        self._farewell: str | None = None
        self.refused = False
        """Whether this end closed because it did not accept what the other said."""

    @property
    def pending_bytes(self) -> int:
        """What waits to be sent: a measure of how far the other end is behind."""
        return self._outgoing_bytes

    def eased(self, below_bytes: int) -> asyncio.Future[None]:
        """Done once less than this waits to be sent, or the link has ended; for a sender that can wait."""
        if self._eased is None:
            self._eased = asyncio.get_running_loop().create_future()
        eased, self._eased_below = self._eased, below_bytes
        self._ease()
        return eased

    def _ease(self) -> None:
        eased = self._eased
        if eased is not None and (self._ended or self._outgoing_bytes < self._eased_below):
            self._eased = None
            if not eased.done():
                eased.set_result(None)

    @property
    def received_blob_bytes(self) -> int:
        return self._transfers.received_bytes

    def send(self, frame: Frame, soon: bool = True) -> None:
        """Queue a frame; after the end it is dropped. What must not get lost is said again on a new link.

        With `soon` false it leaves with the next frame that does not wait, at the latest after LATER_SECONDS.

        Raises LinkRefused, and queues nothing, where the frame is too large for any message.
        """
        if self._ended:
            return
        encoded = encode_frame(frame)
        self._outgoing.append(encoded)
        self._outgoing_bytes += len(encoded)
        if soon:
            self._wake.set()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(LATER_SECONDS, self._wake.set)

    async def fetch(self, refs: Iterable[BlobRef]) -> None:
        """Bring these blobs here, from the other end. What is here already costs nothing.

        Raises NotFound, BlobRefused, OSError (this disk) or LinkLost, after all of them have settled.
        """
        waiting: list[asyncio.Future[None]] = []
        wanted = iter(refs)
        while some := list(itertools.islice(wanted, LOOKED_UP_AT_ONCE)):
            waiting += self._transfers.begin(some)
            if len(some) == LOOKED_UP_AT_ONCE:
                await asyncio.sleep(0)
        if waiting:
            await asyncio.wait(waiting)
            for future in waiting:
                future.result()

    def close(self, reason: str) -> None:
        """Say what is queued, then goodbye. `run` then returns."""
        if self._farewell is None:
            self.send(Bye(reason=reason))
            self._farewell = reason
            self._wake.set()

    async def run(self) -> str:
        """Carry the link until it ends. Returns why it ended."""
        reason = "this end stopped"
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in (self._read(), self._write(), self._watch()):
                    tasks.create_task(part)
        except* LinkRefused as group:
            reason, self.refused = f"refused: {_first(group)}", True
            await self._say_goodbye(reason)
        except* LinkLost as group:
            reason = self._farewell or str(_first(group))
        finally:
            self._ended = True
            self._ease()
            self._stop_waiting()
            self._transfers.close(LinkLost(reason))
            await self._wire.close(reason)
        return reason

    async def _read(self) -> None:
        while True:
            message = await self._wire.receive()
            self._heard = True
            for frame in decode_message(message):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame:
            case BlobWant():
                self._take_want(frame)
            case BlobData():
                self._transfers.data(frame)
            case BlobAbsent():
                self._transfers.absent(frame)
            case Ping(number=number):
                self.send(Pong(number=number))
            case Pong():
                pass
            case Bye(reason=reason):
                raise LinkLost(f"the other end closed: {reason}")
            case Hello():
                raise LinkRefused("a second Hello")
            case _:
                self._on_frame(frame)

    def _take_want(self, want: BlobWant) -> None:
        if not 0 <= want.length <= CHUNK_BYTES or want.offset < 0:
            raise LinkRefused(f"a want of {want.length} bytes at {want.offset}; a piece has at most {CHUNK_BYTES}")
        if len(self._wants) >= MAX_WANTS:
            raise LinkRefused(f"more than {MAX_WANTS} wants at a time")
        self._wants.append(want)
        self._wake.set()

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        free_at = 0.0  # when all of the burst is to be had again
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._stop_waiting()
            while self._outgoing or self._wants:
                await self._wire.send(self._next_message())
                now = clock()
                free_at = max(free_at, now) + GAP_SECONDS
                in_burst = free_at - now < BURST * GAP_SECONDS
                await asyncio.sleep(0 if in_burst or self._wants else GAP_SECONDS)
            if self._farewell is not None:
                raise LinkLost(self._farewell)

    def _stop_waiting(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _next_message(self) -> bytes:
        """As many frames as fit, and one piece of a blob: blobs never hold up frames, nor the reverse."""
        batch: list[bytes] = []
        size = 0
        while self._outgoing and (not batch or size + len(self._outgoing[0]) <= BATCH_BYTES):
            frame = self._outgoing.popleft()
            size += len(frame)
            batch.append(frame)
        self._outgoing_bytes -= size
        self._ease()
        if self._wants:
            batch.append(encode_frame(self._answer(self._wants.popleft())))
        return join_message(batch)

    def _answer(self, want: BlobWant) -> BlobData | BlobAbsent:
        try:
            with self._blobs.path(want.sha256).open("rb") as file:
                file.seek(want.offset)
                data = file.read(want.length)
        except (NotFound, OSError) as error:
            return BlobAbsent(sha256=want.sha256, reason=str(error))
        if len(data) != want.length:
            return BlobAbsent(sha256=want.sha256, reason="it is shorter than what was asked for")
        return BlobData(sha256=want.sha256, offset=want.offset, data=data)

    async def _watch(self) -> None:
        """Ping a silent peer; give it up after some silent periods in a row.

        Periods are counted, not seconds, so that a pause of this process alone does not end the link.
        """
        misses = 0
        while True:
            await asyncio.sleep(self._ping_seconds)
            misses = 0 if self._heard else misses + 1
            if misses >= MISSES:
                raise LinkLost(f"nothing was heard for {misses * self._ping_seconds:g} s")
            if not self._heard:
                self.send(Ping(number=misses))
            self._heard = False

    async def _say_goodbye(self, reason: str) -> None:
        with contextlib.suppress(LinkLost, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._wire.send(join_message([encode_frame(Bye(reason=reason))]))


async def send_hello(wire: Wire, hello: Hello) -> None:
    """The master greets first, the worker answers, whichever dialled. Raises LinkLost."""
    await wire.send(join_message([encode_frame(hello)]))


async def receive_hello(wire: Wire, role: Literal["master", "worker"]) -> Hello:
    """The greeting of a peer that must be in `role`. Raises LinkLost or LinkRefused, having said why."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            frames = decode_message(await wire.receive())
        if len(frames) == 1 and isinstance(frames[0], Bye):
            raise LinkLost(f"the other end closed: {frames[0].reason}")
        if len(frames) != 1:
            raise LinkRefused(f"expected one Hello, got {len(frames)} frames")
        return require_hello(frames[0], role)
    except TimeoutError as error:
        raise LinkLost(f"no greeting within {HELLO_SECONDS:g} s") from error
    except LinkRefused as error:
        with contextlib.suppress(LinkLost):
            await wire.send(join_message([encode_frame(Bye(reason=str(error)))]))
        raise


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
