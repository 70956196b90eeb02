"""Carries runs out: under a lease each, to their end, or until another master takes them over."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

from nadg.bootstrap.orphans import create_owner, end_abandoned
from nadg.bootstrap.streaming import cancelled_at_the_end
from nadg.domain.blob import Blobs
from nadg.domain.changes import Change
from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost, NadgError
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, NewRun, RunRecord
from nadg.domain.skill import SkillSpec
from nadg.engines.protocol import Engine
from nadg.orchestrator.lease_keeping import keep_lease
from nadg.orchestrator.loop import RunLoop
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.progress import RunProgress
from nadg.orchestrator.recovery import recovered_progress
from nadg.settings import Settings
from nadg.store.api import Store

Planning = Callable[[RunLoop], Coroutine[Any, Any, None]]
"""Tells a run how its plan goes on, where that is still written."""
RELEASE_SECONDS = 3.0
"""So long a master that stops waits for a database in trouble."""


class CarriedWatcher(Protocol):
    """Who is shown what happens to a run. Plain calls on the event loop, which must not block."""

    def run_created(self, run_id: str, plan: Plan) -> None: ...

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class RunCarrier:
    """The runs that this process carries out, all under one owner's name."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        engine: Engine,
        blobs: Blobs,
        skills: Mapping[str, SkillSpec],
        clock: Clock,
    ) -> None:
        self._settings, self._store, self._engine = settings, store, engine
        self._blobs, self.skills, self._clock = blobs, skills, clock
        self.owner = create_owner()
        self._loops: dict[str, RunLoop] = {}
        self._read: set[str] = set()
        """Runs that were claimed and are still being read."""
        self._leaving = False

    @property
    def carried(self) -> frozenset[str]:
        """The runs that are under way here."""
        return frozenset(self._loops) | self._read

    async def carry(
        self, new: NewRun, watcher: CarriedWatcher, models: ModelAccess | None, planning: Planning | None = None
    ) -> RunRecord:
        """Store a run and carry it to its end, however it ends.

        Raises UserError where the id is taken, LeaseLost where another master took the run over.
        """
        await self._store.blobs.record([file.blob for file in new.inputs])
        lease = await self._store.runs.create(new, self.owner, self._settings.lease_seconds)
        watcher.run_created(new.id, new.plan)
        await self._run(self._loop(new, lease, watcher, models), lease, planning)
        return await self._store.runs.get(new.id)

    async def carry_derived(
        self,
        new: NewRun,
        kept: Sequence[Change],
        watcher: CarriedWatcher,
        models: ModelAccess | None,
        planning: Planning | None = None,
    ) -> RunRecord:
        """As `carry`, for a run that begins with what another one did.

        Where it ends before that is stored, whoever takes it over does all of it: slower, and not wrong.
        """
        await self._store.blobs.record([file.blob for file in new.inputs])
        lease = await self._store.runs.create(new, self.owner, self._settings.lease_seconds)
        watcher.run_created(new.id, new.plan)
        try:
            if kept:
                await self._store.runs.commit(lease, kept)
        except LeaseLost:
            raise
        except BaseException:
            if self._leaving:  # such as one that took too long to let go: another master goes on with it
                await self._release(lease)
            else:
                await end_abandoned(self._store.runs, lease, self._clock)
            raise
        for change in kept:
            watcher.changed(new.id, change)
        return await self.resume(lease, watcher, models, planning)

    async def resume(
        self, lease: Lease, watcher: CarriedWatcher, models: ModelAccess | None, planning: Planning | None = None
    ) -> RunRecord:
        """Go on with a run that was claimed, where its last owner stood. Raises LeaseLost."""
        record, progress = await self._recovered(lease)
        loop = self._loop(run_of_record(record), lease, watcher, models, progress, record.created_at)
        await self._run(loop, lease, planning if record.planning else None)
        return await self._store.runs.get(lease.run_id)

    async def _recovered(self, lease: Lease) -> tuple[RunRecord, RunProgress]:
        """Where the run stands. To read a large one may take longer than a lease, which is kept meanwhile."""
        runs, run_id = self._store.runs, lease.run_id
        self._read.add(run_id)
        try:
            async with cancelled_at_the_end(keep_lease(runs, lease, self._settings.lease_seconds)):
                record, events = await runs.get(run_id), await runs.plan_events(run_id)
                return record, await asyncio.to_thread(recovered_progress, record, events, self.skills)
        finally:
            self._read.discard(run_id)

    def _loop(
        self,
        new: NewRun,
        lease: Lease,
        watcher: CarriedWatcher,
        models: ModelAccess | None,
        recovered: RunProgress | None = None,
        created_at: datetime.datetime | None = None,
    ) -> RunLoop:
        return RunLoop(
            new,
            lease,
            store=self._store.runs,
            engine=self._engine,
            blobs=self._blobs,
            clock=self._clock,
            skills=self.skills,
            watcher=watcher,
            lease_seconds=self._settings.lease_seconds,
            models=models,
            recovered=recovered,
            created_at=created_at,
        )

    def cancel(self, run_id: str, reason: str) -> bool:
        """Ask a run to end; False where it is not one of these."""
        loop = self._loops.get(run_id)
        if loop is not None:
            loop.cancel(reason)
        return loop is not None

    def leave(self) -> None:
        """Give every run up as it stands, those too that come yet: another master goes on with it at once."""
        self._leaving = True
        for loop in self._loops.values():
            loop.let_go()

    async def _run(self, loop: RunLoop, lease: Lease, planning: Planning | None) -> None:
        self._loops[lease.run_id] = loop
        if self._leaving:
            loop.let_go()
        try:
            async with nullcontext() if planning is None else cancelled_at_the_end(planning(loop)):
                await loop.run()
        except LeaseLost:
            if self._leaving:
                await self._release(lease)
            raise
        except BaseException:
            if self._leaving:  # such as one that took too long to let go: another master goes on with it
                await self._release(lease)
            else:
                await end_abandoned(self._store.runs, lease, self._clock)
            raise
        finally:
            if self._loops.get(lease.run_id) is loop:  # else this process claimed the run anew meanwhile
                del self._loops[lease.run_id]

    async def _release(self, lease: Lease) -> None:
        """Harmless where it is lost in truth."""
        with contextlib.suppress(NadgError, TimeoutError):  # then it runs out by itself
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._store.runs.release(lease)


def run_of_record(record: RunRecord) -> NewRun:
    """A stored run as it was asked for, with the plan as it stands."""
    return NewRun(
        id=record.id,
        command=record.command,
        planner=record.planner,
        plan=record.plan,
        inputs=record.inputs,
        options=record.options,
        planning=record.planning,
        parent=record.parent,
    )
