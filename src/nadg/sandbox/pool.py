"""Task processes, some of them forked ahead of need: they wait for a job with all their layers nearly on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox import protocol
from nadg.sandbox.cgroups import SandboxGroups
from nadg.sandbox.lane import Lane
from nadg.sandbox.policy import Policy
from nadg.sandbox.process import TaskProcess
from nadg.sandbox.protocol import ZygoteFacts
from nadg.sandbox.zygote_process import ZygoteProcess
from nadg.sandbox.zygotes import Zygotes

_FREE_LANES: Final = 64
_TASK_NUMBERS: Final = 1 << 32


class WorkRoom(NamedTuple):
    """What a work folder in memory may hold; it is made with the process, before the attempt is known."""

    size_bytes: int
    files: int


class Waiting:
    """The processes of one zygote that wait for a job."""

    def __init__(self, zygote: ZygoteProcess) -> None:
        self.zygote = zygote
        self.processes: deque[TaskProcess] = deque()


class ProcessPool:
    """Gives out processes of the wanted zygote and takes back what is left of them. Use from one event loop."""

    def __init__(
        self, policy: Policy, tier: Tier, folder: Path, task_uid: int | None, groups: SandboxGroups | None = None
    ) -> None:
        self._policy = policy
        self._groups = groups
        self._lanes_folder = folder / "attempts" / "lanes"
        self._given_seen_at = folder / "given" / "here" if tier is Tier.NAMESPACES else None
        self._task_uid = task_uid
        usual = Limits().capped_by(policy.caps)
        self._usual_room = WorkRoom(usual.artifact_bytes, usual.artifact_count)
        self._is_in_memory = tier is Tier.NAMESPACES
        self._is_confined = tier is not Tier.NONE
        self._zygotes = Zygotes(policy, tier, folder, task_uid, self._refill)
        self._waiting: dict[str, Waiting] = {}
        self._lanes: list[Lane] = []
        self._lane_numbers = itertools.count()
        self._task_numbers = itertools.count(1)
        self._taken = 0
        """Processes that carry out an attempt."""
        self._removals: set[asyncio.Future[None]] = set()
        self._is_closing = False

    @property
    def warm_zygotes(self) -> tuple[str, ...]:
        """Names of the warm processes that are ready now."""
        return tuple(self._zygotes.current)

    def warm(self, name: str) -> None:
        """Start a zygote, and processes of it, ahead of need; a failure shows when it is needed."""
        if name not in self._zygotes.current:
            self._zygotes.warm(name)

    async def facts(self, name: str) -> ZygoteFacts | None:
        """What a zygote says of itself. Raises SandboxUnavailable where it cannot be started."""
        return (await self._zygotes.get(name)).facts

    async def take(self, name: str, limits: Limits) -> tuple[TaskProcess, ZygoteProcess]:
        """A process that waits for its job, and its zygote. Raises SandboxUnavailable."""
        zygote = await self._zygotes.get(name)
        self._taken += 1
        try:
            return self._take(name, zygote, WorkRoom(limits.artifact_bytes, limits.artifact_count)), zygote
        except (SandboxUnavailable, OSError):
            self._taken -= 1
            raise

    def _take(self, name: str, zygote: ZygoteProcess, room: WorkRoom) -> TaskProcess:
        if self._is_in_memory and room != self._usual_room:
            return self._order(zygote, room)
        waiting = self._waiting_of(name, zygote).processes
        asyncio.get_running_loop().call_soon(self._refill, name, zygote)
        while waiting:
            process = waiting.popleft()
            if not process.is_over:
                return process
            self._clear_away(process)
        return self._order(zygote, self._usual_room)

    def _waiting_of(self, name: str, zygote: ZygoteProcess) -> Waiting:
        """Those of the current zygote; the processes of the one before are let go."""
        waiting = self._waiting.get(name)
        if waiting is None or waiting.zygote is not zygote:
            self._let_go(name)
            waiting = self._waiting[name] = Waiting(zygote)
        return waiting

    def _let_go(self, name: str) -> None:
        waiting = self._waiting.pop(name, None)
        for process in waiting.processes if waiting else ():
            process.kill()
            process.when_over(lambda process=process: self._clear_away(process))  # type: ignore[misc]  # a default

    def _refill(self, name: str, zygote: ZygoteProcess) -> None:
        """Order as many processes ahead as the policy wants."""
        if self._is_closing or self._zygotes.current.get(name) is not zygote:
            return
        waiting = self._waiting_of(name, zygote).processes
        with contextlib.suppress(SandboxUnavailable, OSError):  # whoever needs a process hears of it
            while len(waiting) < self._policy.forked_ahead:
                waiting.append(self._order(zygote, self._usual_room))

    def _order(self, zygote: ZygoteProcess, room: WorkRoom) -> TaskProcess:
        lane = self._lanes.pop() if self._lanes else self._make_lane()
        process = TaskProcess(lane, zygote.facts.resident_bytes if zygote.facts else 0)
        task = next(self._task_numbers) % _TASK_NUMBERS
        order = protocol.FORK.pack(task, self._taken <= 1, *room) + os.fsencode(lane.folder)
        try:
            zygote.fork(task, order, process.fds, process)
        except SandboxUnavailable:
            process.close()
            self._remove(lane)
            raise
        process.was_ordered()
        return process

    def _make_lane(self) -> Lane:
        folder = self._lanes_folder / str(next(self._lane_numbers))
        return Lane(
            folder,
            self._task_uid,
            may_link=self._is_confined,
            given_seen_at=self._given_seen_at,
            group=self._groups.make_lane() if self._groups is not None else None,
        )

    def give_back(self, process: TaskProcess) -> None:
        """Keep the lane of a process that is over for another one, where it is clean; undo any other.

        What takes long, an attempt's many files, is removed in a thread: nobody waits for that but `close`.
        """
        self._taken -= 1
        lane = process.lane
        is_clean = process.exit is not None and self._is_confined and lane.reset()
        in_memory = process.take_memory_folder()
        process.close()
        if in_memory is not None:
            self._in_thread(os.close, in_memory)
        if is_clean and not self._is_closing and len(self._lanes) < _FREE_LANES:
            self._lanes.append(lane)
            return
        lane.close()
        self._in_thread(lane.remove)

    def _in_thread(self, act: Callable[..., None], *arguments: object) -> None:
        removal = asyncio.ensure_future(asyncio.to_thread(act, *arguments))
        self._removals.add(removal)
        removal.add_done_callback(self._removed)

    def _removed(self, removal: asyncio.Future[None]) -> None:
        """What could not be removed now is, when the sandbox is closed."""
        self._removals.discard(removal)
        removal.cancelled() or removal.exception()

    def _clear_away(self, process: TaskProcess) -> None:
        """Undo a process that is over and never had a job."""
        process.close()
        self._remove(process.lane)

    def _remove(self, lane: Lane) -> None:
        lane.close()
        with contextlib.suppress(OSError):
            lane.remove()

    async def close(self) -> None:
        """End all zygotes and with them all processes."""
        self._is_closing = True
        for name in list(self._waiting):
            self._let_go(name)
        await self._zygotes.stop()
        if self._removals:
            await asyncio.wait(self._removals)
        while self._lanes:
            self._lanes.pop().close()
