"""The sandbox as a worker uses it: start it, run attempts in it, close it; nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from nadg.domain.blob import Blobs
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import SandboxUnavailable
from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox.attempt import RunningAttempt, Verdict
from nadg.sandbox.choose import choose_zygote
from nadg.sandbox.execution import Execution, through_cancellation
from nadg.sandbox.folder import SandboxFolder
from nadg.sandbox.lane import Lane
from nadg.sandbox.output import OnOutput, Output
from nadg.sandbox.policy import Policy
from nadg.sandbox.probe import ProbeReport, candidate_tiers, probe
from nadg.sandbox.request import Ending, Request
from nadg.sandbox.watchdog import Watchdog, Watched
from nadg.sandbox.zygotes import Zygotes

_IDLE_LANES: Final = 64
_TASK_NUMBERS: Final = 1 << 32
_REMEMBERED_LIMITS: Final = 1000


class Sandbox:
    """Runs attempts confined as well as this host allows; enter it before `run`.

    Entering proves the tier by trying to break out and raises SandboxUnavailable where it does not hold.
    `root` is any folder of the worker's: attempts live in a private folder below it, removed at the end.
    """

    def __init__(self, policy: Policy, root: Path, blobs: Blobs, clock: Clock | None = None) -> None:
        self.tier = Tier.NONE
        self.report = ProbeReport(tier=Tier.NONE)
        self._policy = policy
        self._root = root.absolute()
        self._blobs = blobs
        self._clock = clock or SystemClock()
        self._task_uid = policy.task_uid if os.geteuid() == 0 else None
        self._folder: SandboxFolder | None = None
        self._is_closing = False
        self._zygotes: Zygotes | None = None
        self._lanes: list[Lane] = []
        self._lane_numbers = itertools.count()
        self._task_numbers = itertools.count(1)
        self._running: dict[RunningAttempt, Watched] = {}
        self._watchdog = Watchdog(lambda: self._running.values())
        self._limits: dict[Limits, Limits] = {}
        self._warming: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Sandbox:
        self._folder = SandboxFolder(self._root, self._task_uid)
        try:
            await self._start_best_tier()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _start_best_tier(self) -> None:
        """Start the first tier whose probe holds. Raises SandboxUnavailable with every reason."""
        reasons: list[str] = []
        default, *others = self._policy.zygotes
        for tier in candidate_tiers(self._policy):
            self.tier = tier
            self._zygotes = Zygotes(self._policy, tier, self._path, self._task_uid)
            try:
                zygote = await self._zygotes.get(default)
                self.report = await probe(self._path, tier, zygote.facts, self.run)
            except SandboxUnavailable as error:
                reasons.append(f"{tier}: {error}")
                await self._zygotes.stop()
                continue
            self._warm_later(others)
            return
        raise SandboxUnavailable("; ".join(reasons))

    def _warm_later(self, names: list[str]) -> None:
        """Start the heavier warm processes once nothing has to share the machine with that, or on first need."""
        delay, loop = self._policy.warm_idle_seconds, asyncio.get_running_loop()
        self._warming = loop.call_later(delay, self._warm_if_idle, names)

    def _warm_if_idle(self, names: list[str]) -> None:
        if self._running:
            self._warm_later(names)
        elif self._zygotes is not None:
            for name in names:
                if name not in self._zygotes.current:
                    self._zygotes.warm(name)

    async def _close(self) -> None:
        self._is_closing = True
        if self._warming is not None:
            self._warming.cancel()
        for attempt in list(self._running):
            attempt.end(Verdict("crashed", "the sandbox was closed"))
        if self._zygotes is not None:
            await self._zygotes.stop()
        for attempt in list(self._running):
            await attempt.wait_to_the_end()
        self._watchdog.stop()
        while self._lanes:
            self._lanes.pop().close()
        if self._folder is not None:
            await asyncio.to_thread(self._folder.remove)

    @property
    def _path(self) -> Path:
        if self._folder is None:
            raise SandboxUnavailable("the sandbox was not entered")
        return self._folder.path

    @property
    def warm_zygotes(self) -> tuple[str, ...]:
        """Names of the warm processes that are ready now."""
        return tuple(self._zygotes.current) if self._zygotes else ()

    async def run(self, request: Request, on_output: OnOutput) -> Ending:
        """Carry out one attempt and say how it ended; never raises for what its code does.

        Cancelling the awaiting task kills the attempt, waits until it is dead and removes its traces.
        """
        limits = self._capped(request.limits)
        lane = self._take_lane()
        output = Output(limits.output_bytes, on_output)
        try:
            return await Execution(request, limits, lane, output, self._blobs, self._clock).run(self)
        finally:
            await self._give_back(lane)

    def _capped(self, limits: Limits) -> Limits:
        capped = self._limits.get(limits)
        if capped is None:
            if len(self._limits) >= _REMEMBERED_LIMITS:
                self._limits.clear()
            capped = self._limits[limits] = limits.capped_by(self._policy.caps)
        return capped

    def _take_lane(self) -> Lane:
        if self._lanes:
            return self._lanes.pop()
        folder = self._path / str(next(self._lane_numbers))
        return Lane(folder, self._task_uid, may_link=self.tier is not Tier.NONE)

    async def _give_back(self, lane: Lane) -> None:
        """Keep a clean lane for the next attempt; undo any other."""
        may_keep = self.tier is not Tier.NONE and not self._is_closing and len(self._lanes) < _IDLE_LANES
        if may_keep and lane.reset():
            self._lanes.append(lane)
            return
        lane.close()
        with contextlib.suppress(OSError):  # what cannot be removed now is, when the sandbox is closed
            await through_cancellation(asyncio.to_thread(lane.remove))

    async def fork(self, request: Request, attempt: RunningAttempt, memory_bytes: int, fds: list[int]) -> None:
        """Start an attempt's process from the fitting zygote; for executions of this sandbox."""
        if self._zygotes is None:
            raise SandboxUnavailable("the sandbox was not entered")
        name = request.zygote
        if name not in self._policy.zygotes:
            name = choose_zygote(request.source, self._policy.zygotes)
        zygote = await self._zygotes.get(name)
        zygote.fork(next(self._task_numbers) % _TASK_NUMBERS, memory_bytes, fds, attempt)
        inherited = zygote.facts.resident_bytes if zygote.facts else 0
        self._running[attempt] = Watched(attempt, inherited, zygote.kill)
        self._watchdog.wake()

    def forget(self, attempt: RunningAttempt) -> None:
        """An execution of this sandbox is over."""
        self._running.pop(attempt, None)
