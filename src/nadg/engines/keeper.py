"""Keeps the link to one worker: opens it, carries it, opens it again."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable

from nadg.domain.blob import BlobRef, Blobs
from nadg.domain.clock import Clock
from nadg.domain.errors import BlobRefused, LinkLost, LinkRefused, NotFound
from nadg.engines.fleet import Fleet
from nadg.engines.lengths import outcome_blobs
from nadg.engines.node import Node, NodeState
from nadg.link.dial import dial
from nadg.link.frames import (
    VERSION,
    Drain,
    Finished,
    Frame,
    Hello,
    Holding,
    Output,
    Refused,
    Started,
)
from nadg.link.session import LOOKED_UP_AT_ONCE, Session, receive_hello, send_hello

FIRST_BACKOFF_SECONDS = 0.05
FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_DISK_SECONDS = 2.0
"""How often it is tried again to keep what a worker made, where the disk here is full."""

_log = logging.getLogger(__name__)


class LinkKeeper:
    """One worker's link for as long as the worker belongs to the grid."""

    def __init__(
        self,
        node: Node,
        token: str,
        *,
        fleet: Fleet,
        blobs: Blobs,
        clock: Clock,
        master_id: str,
        ping_seconds: float,
        most_backoff_seconds: float,
        jitter: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self.node = node
        self._token = token
        self._fleet, self._blobs, self._clock = fleet, blobs, clock
        self._master_id = master_id
        self._ping_seconds = ping_seconds
        self._most_backoff_seconds = most_backoff_seconds
        self._jitter = jitter
        self._changed = changed
        self._session: Session | None = None
        self._collecting: set[str] = set()
        self._collectors: asyncio.TaskGroup | None = None
        self._closed = asyncio.Event()

    def close(self, reason: str) -> bool:
        """Say goodbye. True where there is a link to say it on; `run` then returns soon."""
        self._closed.set()
        if self._session is None:
            return False
        self._session.close(reason)
        return True

    async def run(self) -> None:
        """Keep the link until `close`."""
        failures = 0
        while not self._closed.is_set():
            state: NodeState = "away"
            try:
                reason = await self._carry_link()
                failures = 0
            except LinkRefused as error:
                reason, state = str(error), "refused"
            except LinkLost as error:
                reason = str(error)
                state = "away" if self.node.boot_id else "connecting"
            if self._closed.is_set():
                return
            if self.node.state != "dead" or state == "refused":
                self._fleet.away(self.node, reason, self._clock.monotonic(), state)
            self._changed()
            await self._pause(failures)
            failures += 1

    async def _carry_link(self) -> str:
        """One link, from dialling to its end. Returns why it ended.

        Raises LinkLost where there was none, LinkRefused where one end does not accept the other.
        """
        wire = await dial(self.node.url, self._token)
        session = Session(wire, self._blobs, self._take, ping_seconds=self._ping_seconds)
        try:
            await send_hello(wire, Hello(version=VERSION, peer_id=self._master_id))
            hello = await receive_hello(wire, "worker")
            self._fleet.up(self.node, hello, session.send, self._clock.monotonic())
        except BaseException as error:
            await wire.close(str(error))
            raise
        self._session = session
        self._changed()
        if self._closed.is_set():
            session.close("the worker was removed")
        async with asyncio.TaskGroup() as self._collectors:
            reason = await session.run()
        self._session = None
        self._collecting.clear()
        if session.refused:  # on the next link it might say the same again, so nothing may hang on it
            self._fleet.gone(self.node, f"worker {self.node.name} is not understood: {reason}")
            raise LinkRefused(reason)
        return reason

    async def _pause(self, failures: int) -> None:
        """Wait before the next try: not at all the first time, then ever longer, never in step with others."""
        if failures == 0:
            seconds = FIRST_BACKOFF_SECONDS
        else:
            seconds = min(self._most_backoff_seconds, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 20))
        try:
            async with asyncio.timeout(seconds * (0.5 + self._jitter())):
                await self._closed.wait()
        except TimeoutError:
            return

    def _take(self, frame: Frame) -> None:
        match frame:
            case Started(attempt_id=attempt_id, at=at):
                self._fleet.started(self.node, attempt_id, at)
            case Output(attempt_id=attempt_id, stream=stream, text=text):
                self._fleet.output(self.node, attempt_id, stream, text)
            case Finished():
                self._finished(frame)
            case Holding():
                self._fleet.holding(self.node, frame, self._clock.monotonic())
                self._changed()
            case Refused():
                self._fleet.refused(self.node, frame, self._clock.monotonic())
                self._changed()
            case Drain(reason=reason):
                self._fleet.drain(self.node, reason)
                self._changed()
            case _:
                raise LinkRefused(f"a worker does not send {type(frame).__name__}")

    def _finished(self, frame: Finished) -> None:
        """Report an end; where it refers to blobs that are not here, after they came."""
        missing = [BlobRef(sha256=sha256, size=size) for sha256, size in outcome_blobs(frame.outcome).items()]
        if len(missing) <= LOOKED_UP_AT_ONCE:  # more of them are looked for by the fetch, which lets others go on
            missing = [ref for ref in missing if not self._blobs.has(ref.sha256)]
        if not missing or frame.attempt_id not in self.node.in_flight:
            self._fleet.finished(self.node, frame.attempt_id, frame.outcome)
            self._changed()
        elif frame.attempt_id not in self._collecting and self._collectors is not None:
            self._collecting.add(frame.attempt_id)
            self._collectors.create_task(self._collect(frame, missing))

    async def _collect(self, frame: Finished, missing: list[BlobRef]) -> None:
        assert self._session is not None
        try:
            await self._fetch(self._session, missing)
        except LinkLost:
            return  # the worker says it again on the next link
        except (NotFound, BlobRefused, OSError) as error:
            reason, here = f"its outcome cannot be fetched: {error}", isinstance(error, OSError)  # this disk
            self._fleet.unusable(self.node, frame.attempt_id, reason, at_fault=not here)
        else:
            self._fleet.finished(self.node, frame.attempt_id, frame.outcome)
        self._collecting.discard(frame.attempt_id)
        self._changed()

    async def _fetch(self, session: Session, missing: list[BlobRef]) -> None:
        """Fetch them, waiting for room on this machine's own disk: the work shall not be done again for that."""
        told = False
        while True:
            try:
                return await session.fetch(missing)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                if not told:
                    _log.warning("what workers made waits there: %s", error)
                told = True
                await asyncio.sleep(FULL_DISK_SECONDS)
                missing = [ref for ref in missing if not self._blobs.has(ref.sha256)]
