"""The sandbox as a worker uses it: start it, run attempts in it, close it; nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from nadg.domain.blob import Blobs
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import SandboxUnavailable
from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox.attempt import RunningAttempt, Verdict
from nadg.sandbox.cancellation import through_cancellation
from nadg.sandbox.cgroup_home import NotDelegated
from nadg.sandbox.cgroups import SandboxGroups, open_groups
from nadg.sandbox.choose import choose_zygote
from nadg.sandbox.ending import Reading
from nadg.sandbox.execution import Execution, never_ran
from nadg.sandbox.folder import SandboxFolder
from nadg.sandbox.output import OnOutput, Output
from nadg.sandbox.policy import Policy
from nadg.sandbox.pool import ProcessPool
from nadg.sandbox.probe import ProbeReport, candidate_tiers, probe
from nadg.sandbox.request import Ending, Request
from nadg.sandbox.watchdog import Watchdog, Watched
from nadg.sandbox.zygote_process import ZygoteProcess

_REMEMBERED_LIMITS: Final = 1000


class Sandbox:
    """Runs attempts confined as well as this host allows; enter it before `run`.

    Entering proves the tier by trying to break out and raises SandboxUnavailable where it does not hold.
    `root` is any folder of the worker's: attempts live in a private folder below it, removed at the end.
    """

    def __init__(
        self,
        policy: Policy,
        root: Path,
        blobs: Blobs,
        clock: Clock | None = None,
        open_groups: Callable[[], SandboxGroups] = open_groups,
    ) -> None:
        self.tier = Tier.NONE
        self.report = ProbeReport(tier=Tier.NONE)
        self._policy = policy
        self._root = root.absolute()
        self._blobs = blobs
        self._clock = clock or SystemClock()
        self._task_uid = policy.task_uid if os.geteuid() == 0 else None
        self._folder: SandboxFolder | None = None
        self._open_groups = open_groups
        self._groups: SandboxGroups | None = None
        self._pool: ProcessPool | None = None
        self._running: dict[RunningAttempt, Watched] = {}
        self._watchdog = Watchdog(lambda: self._running.values())
        self._limits: dict[Limits, Limits] = {}
        self._warming: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Sandbox:
        self._folder = SandboxFolder(self._root, self._task_uid)
        try:
            cgroup = await through_cancellation(asyncio.to_thread(self._use_groups))
            await self._start_best_tier()
            self.report = msgspec.structs.replace(self.report, cgroup=cgroup)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def _use_groups(self) -> str:
        """Have a cgroup for every lane where that can be; what came of it."""
        try:
            self._groups = self._open_groups()
        except NotDelegated as error:
            return f"not used: {error}"
        return self._groups.described

    async def _start_best_tier(self) -> None:
        """Start the first tier whose probe holds. Raises SandboxUnavailable with every reason."""
        reasons: list[str] = []
        default, *others = self._policy.zygotes
        for tier in candidate_tiers(self._policy):
            self.tier = tier
            self._pool = ProcessPool(self._policy, tier, self._path, self._task_uid, self._groups)
            try:
                self.report = await probe(self._path, tier, await self._pool.facts(default), self.run)
            except SandboxUnavailable as error:
                reasons.append(f"{tier}: {error}")
                await self._pool.close()
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
        elif self._pool is not None:
            for name in names:
                self._pool.warm(name)

    async def _close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
        for attempt in list(self._running):
            attempt.end(Verdict("crashed", "the sandbox was closed"))
        if self._pool is not None:
            await self._pool.close()
        for attempt in list(self._running):
            await attempt.wait_to_the_end()
        self._watchdog.stop()
        if self._groups is not None:
            await asyncio.to_thread(self._groups.close)
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
        return self._pool.warm_zygotes if self._pool else ()

    async def run(self, request: Request, on_output: OnOutput) -> Ending:
        """Carry out one attempt and say how it ended; never raises for what its code does.

        Cancelling the awaiting task kills the attempt and waits until it is dead. What it left on disk is removed
        meanwhile, at the latest when the sandbox is closed.
        """
        started_at, pool = self._clock.now(), self._pool
        if pool is None:
            raise SandboxUnavailable("the sandbox was not entered")
        limits = self._capped(request.limits)
        try:
            process, zygote = await pool.take(self._zygote_for(request), limits)
        except (OSError, SandboxUnavailable) as error:
            reading = Reading("crashed", f"the attempt could not be carried out: {error}")
            return never_ran(reading, started_at, self._clock)
        output = Output(limits.output_bytes, on_output)
        try:
            execution = Execution(request, limits, process, output, self._blobs, self._clock)
            return await execution.run(lambda attempt: self._watch(attempt, zygote))
        finally:
            pool.give_back(process)

    def _zygote_for(self, request: Request) -> str:
        if request.zygote in self._policy.zygotes:
            return request.zygote
        return choose_zygote(request.source, self._policy.zygotes)

    def _capped(self, limits: Limits) -> Limits:
        capped = self._limits.get(limits)
        if capped is None:
            if len(self._limits) >= _REMEMBERED_LIMITS:
                self._limits.clear()
            capped = self._limits[limits] = limits.capped_by(self._policy.caps)
        return capped

    @contextlib.contextmanager
    def _watch(self, attempt: RunningAttempt, zygote: ZygoteProcess) -> Iterator[None]:
        """Let the watchdog see an attempt while it runs."""
        self._running[attempt] = Watched(attempt, zygote.kill)
        self._watchdog.wake()
        try:
            yield
        finally:
            del self._running[attempt]
