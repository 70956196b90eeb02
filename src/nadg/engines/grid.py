"""The engine of a grid: keeps a link to each worker, and carries attempts over them."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import msgspec

from nadg.domain.assignment import Assignment
from nadg.domain.blob import Blobs
from nadg.domain.clock import Clock
from nadg.domain.errors import UserError
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.engines.fitness import unmet
from nadg.engines.fleet import Fleet
from nadg.engines.keeper import LinkKeeper
from nadg.engines.leaving import leave_tasks
from nadg.engines.node import Node, NodeState
from nadg.engines.placement import Demand
from nadg.engines.protocol import AttemptSink
from nadg.engines.slim import slim_assignment
from nadg.link.dial import dial, link_url
from nadg.link.frames import VERSION, Hello
from nadg.link.session import GOODBYE_SECONDS, PING_SECONDS, receive_hello, send_hello


class GridSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the grid is."""

    grace_seconds: float = 5.0
    """How long a worker's attempts outlive its link."""
    no_worker_seconds: float = 10.0
    """How long an attempt waits while no connected worker qualifies."""
    ping_seconds: float = PING_SECONDS
    """After so long a silence the other end is asked whether it is there."""
    most_backoff_seconds: float = 10.0
    """The longest pause between two tries to reach a worker."""


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as the grid sees it now."""

    url: str
    state: NodeState
    reason: str
    info: WorkerInfo | None
    in_flight: int
    ended_well: int = 0
    """Attempts that came to an end there, for this master, by no fault of the worker."""


class GridEngine:
    """An Engine over workers that this master dials. An async context manager; its end loses what is under way.

    `master_id` tells workers that a link that comes back is the same master's.
    """

    def __init__(
        self,
        blobs: Blobs,
        clock: Clock,
        *,
        settings: GridSettings | None = None,
        master_id: str | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._blobs, self._clock = blobs, clock
        self._settings = settings or GridSettings()
        self._master_id = master_id or secrets.token_hex(8)
        self._jitter = jitter
        self._fleet = Fleet(
            wall=clock.now,
            grace_seconds=self._settings.grace_seconds,
            no_worker_seconds=self._settings.no_worker_seconds,
        )
        self._keepers: dict[str, tuple[LinkKeeper, asyncio.Task[None]]] = {}
        self._changed = asyncio.Event()
        self._states_changed = asyncio.Condition()
        self._tasks = asyncio.TaskGroup()
        self._placing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._placing = self._tasks.create_task(self._place_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for url in list(self._keepers):
            await self.remove_worker(url, "the grid closed")
        self._fleet.lose_everything("the grid closed")
        if self._placing is not None:
            self._placing.cancel()
        await leave_tasks(self._tasks, kind, error, trace)

    # -- Engine

    async def submit(self, assignment: Assignment, sink: AttemptSink) -> None:
        self._fleet.submit(slim_assignment(assignment, self._blobs), sink)
        self._changed.set()

    async def adopt(self, assignment: Assignment, sink: AttemptSink, worker: str) -> None:
        assignment = slim_assignment(assignment, self._blobs)
        self._fleet.adopt(assignment, sink, worker, self._clock.monotonic())
        self._changed.set()

    def acknowledge(self, attempt_ids: Iterable[str]) -> None:
        self._fleet.acknowledge(attempt_ids)

    def abandon(self, attempt_ids: Iterable[str]) -> None:
        self._fleet.abandon(attempt_ids, self._clock.monotonic())
        self._changed.set()

    def free_slots(self, assignment_like: str) -> int:
        return self._fleet.free_slots(assignment_like)

    def environments(self) -> frozenset[str]:
        infos = [node.info for node in self._fleet.nodes.values() if node.state == "ready"]
        return frozenset(info.environment for info in infos if info is not None and info.environment)

    async def cancel(self, attempt_id: str) -> None:
        self._fleet.cancel(attempt_id)

    # -- workers

    def add_worker(self, url: str, token: str) -> None:
        """Keep a link to this worker from now on. Raises UserError on an unusable or doubled URL."""
        link_url(url)
        if url in self._keepers:
            raise UserError(f"worker {url} is in the grid already")
        node = self._fleet.nodes[url] = Node(url)
        keeper = LinkKeeper(
            node,
            token,
            fleet=self._fleet,
            blobs=self._blobs,
            clock=self._clock,
            master_id=self._master_id,
            ping_seconds=self._settings.ping_seconds,
            most_backoff_seconds=self._settings.most_backoff_seconds,
            jitter=self._jitter,
            changed=self._changed.set,
        )
        self._keepers[url] = (keeper, self._tasks.create_task(keeper.run()))

    async def remove_worker(self, url: str, reason: str = "the worker was removed") -> None:
        """Close its link for good; what it had is lost. Harmless for one that is not there."""
        if url not in self._keepers:
            return
        keeper, task = self._keepers.pop(url)
        self._fleet.forget(keeper.node, reason)
        if keeper.close(reason):
            await asyncio.wait([task], timeout=GOODBYE_SECONDS)
        task.cancel()
        await asyncio.wait([task])
        self._changed.set()

    def worker_died(self, url: str, reason: str) -> None:
        """Whoever started this worker knows that it is dead: its attempts are lost at once."""
        if url in self._keepers:
            self._fleet.gone(self._keepers[url][0].node, reason)
            self._changed.set()

    def hold_back(self, url: str, reason: str) -> None:
        """Give this worker nothing new; what it has goes on. With an empty reason it is used again."""
        if url in self._keepers:
            self._fleet.hold_back(self._keepers[url][0].node, reason)
            self._changed.set()

    def workers(self) -> list[WorkerView]:
        """Every worker that was added, as it stands now."""
        return [
            WorkerView(
                url=node.url,
                state=node.state,
                reason=node.reason,
                info=node.info,
                in_flight=len(node.in_flight),
                ended_well=node.ended_well,
            )
            for node in self._fleet.nodes.values()
        ]

    async def wait_ready(self, count: int, timeout_seconds: float) -> None:
        """Return when so many workers are connected. Raises UserError, with each one's reason, if they are not."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.wait_until(lambda: self._ready_count() >= count)
        except TimeoutError:
            reasons = [
                f"{view.url}: {view.reason or view.state}" for view in self.workers() if view.state != "ready"
            ]
            raise UserError(
                f"{self._ready_count()} of {count} workers are ready after {timeout_seconds:g} s "
                f"({'; '.join(reasons) or 'no more were added'})"
            ) from None

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Return when this holds of the workers; asked again whenever the state of one changes."""
        async with self._states_changed:
            await self._states_changed.wait_for(holds)

    def unmet(self, labels: tuple[str, ...], tier: Tier) -> str | None:
        """One sentence on why no connected worker has these labels and this tier; None where one has."""
        return unmet(self._fleet.nodes.values(), Demand(kind="", labels=labels, min_tier=tier))

    @property
    def waiting(self) -> int:
        """How many attempts no worker has yet."""
        return self._fleet.waiting

    # -- within

    def _ready_count(self) -> int:
        return sum(node.state in ("ready", "quarantined") for node in self._fleet.nodes.values())

    async def _place_forever(self) -> None:
        """Place and expire whenever something changed or a time has come."""
        version = -1
        while True:
            now = self._clock.monotonic()
            self._fleet.expire(now)
            self._fleet.place(now)
            if version != self._fleet.version:
                version = self._fleet.version
                async with self._states_changed:
                    self._states_changed.notify_all()
            deadline = self._fleet.next_deadline()
            await self._wait_for_change(None if deadline is None else max(deadline - now, 0.001))

    async def _wait_for_change(self, timeout_seconds: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()


async def ask_worker(url: str, token: str) -> WorkerInfo:
    """Open a link, hear what the worker says of itself, close. Raises LinkLost, LinkRefused or UserError."""
    wire = await dial(url, token)
    try:
        await send_hello(wire, Hello(version=VERSION, peer_id=f"ask-{secrets.token_hex(8)}"))
        hello = await receive_hello(wire, "worker")
    finally:
        await wire.close("only asking")
    assert hello.worker is not None
    return hello.worker
