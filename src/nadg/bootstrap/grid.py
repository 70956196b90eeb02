"""A grid in this process: the store, the engine with its workers, and the runs that go over it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nadg.bootstrap.demands import require_workers
from nadg.bootstrap.home import Home
from nadg.bootstrap.orphans import create_owner, end_orphan
from nadg.bootstrap.planning import PlannedRun, plan_run
from nadg.bootstrap.workers import WorkerPool
from nadg.domain.changes import Change
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import NadgError
from nadg.domain.ids import create_run_id
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, NewRun, RunOptions, RunRecord
from nadg.domain.skill import SkillSpec
from nadg.domain.tier import strongest
from nadg.engines.grid import GridEngine, GridSettings, WorkerView
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.export import export_run, run_document
from nadg.orchestrator.loop import RunLoop
from nadg.settings import Settings
from nadg.skills.registry import load_registry
from nadg.store import open_store
from nadg.store.api import Store


class Watcher(Protocol):
    """Who is shown what happens. Plain calls on the event loop, which must not block."""

    def run_created(self, run_id: str, plan: Plan) -> None: ...

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...

    def workers(self, views: Sequence[WorkerView]) -> None: ...

    def notice(self, text: str) -> None: ...


class Grid:
    """Plans and runs. Workers are found or started when the first run needs them."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        blobs: BlobFolder,
        engine: GridEngine,
        pool: WorkerPool,
        skills: Mapping[str, SkillSpec],
        clock: Clock,
    ) -> None:
        self._settings, self._store, self._blobs = settings, store, blobs
        self._engine, self._pool, self._skills, self._clock = engine, pool, skills, clock
        self._owner = create_owner()
        self._loops: dict[str, RunLoop] = {}

    async def plan(self, command: str | None, plan_file: Path | None, inputs: Sequence[Path]) -> PlannedRun:
        """A validated plan; nothing runs. Raises UserError with everything that is wrong."""
        defaults = self._settings.default_limits
        return await plan_run(command, plan_file, inputs, self._skills, self._blobs, defaults)

    async def run(self, planned: PlannedRun, options: RunOptions, watcher: Watcher) -> RunRecord:
        """Carry a plan out to its end, however it ends. Raises UserError before anything ran.

        The settings' sandbox tier is a floor: options and plan can ask for a stronger one only.
        """
        policy = self._settings.min_sandbox
        await self._pool.ensure(watcher)
        require_workers(planned.plan, policy=policy, run=options.min_sandbox, grid=self._engine)
        options = msgspec.structs.replace(options, min_sandbox=strongest(policy, options.min_sandbox))
        new = NewRun(
            id=self._create_run_id(),
            command=planned.command,
            planner=planned.planner,
            plan=planned.plan,
            inputs=planned.inputs,
            options=options,
        )
        await self._store.blobs.record([file.blob for file in new.inputs])
        lease = await self._store.runs.create(new, self._owner, self._settings.lease_seconds)
        loop = RunLoop(
            new,
            lease,
            store=self._store.runs,
            engine=self._engine,
            blobs=self._blobs,
            clock=self._clock,
            skills=self._skills,
            watcher=watcher,
            lease_seconds=self._settings.lease_seconds,
        )
        self._loops[new.id] = loop
        watcher.run_created(new.id, new.plan)
        try:
            await loop.run()
        except BaseException:
            await self._end_abandoned(lease)
            raise
        finally:
            del self._loops[new.id]
        return await self._store.runs.get(new.id)

    async def request_cancel(self, run_id: str, reason: str) -> None:
        """End a run of this grid or of another process that shares the store. Raises NotFound."""
        if run_id in self._loops:
            self._loops[run_id].cancel(reason)
        else:
            await self._store.runs.request_cancel(run_id, reason)

    async def export(self, run_id: str, folder: Path) -> Path:
        """Write answer.md, artifacts/ and run.json. Raises UserError where the folder cannot be written."""
        record = await self._store.runs.get(run_id)
        await asyncio.to_thread(export_run, record, folder, self._blobs)
        return folder

    def run_document(self, record: RunRecord) -> dict[str, Any]:
        """The content of `run.json`."""
        return run_document(record, self._blobs)

    async def answer_text(self, record: RunRecord) -> str:
        """The answer as Markdown."""
        return await asyncio.to_thread(compose_answer, record, self._blobs)

    async def _end_abandoned(self, lease: Lease) -> None:
        """Nobody goes on with a run whose loop broke off: it shall not look as if it went on."""
        with contextlib.suppress(NadgError):  # what broke the loop off is told, not what came of it
            await self._store.runs.release(lease)
            await end_orphan(self._store.runs, lease.run_id, "its master stopped before the end", self._clock)

    def _create_run_id(self) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        return create_run_id(milliseconds, secrets.randbits(35))


@asynccontextmanager
async def open_grid(
    settings: Settings, *, workers: int | None = None, watcher: Watcher | None = None
) -> AsyncIterator[Grid]:
    """A grid for the length of a `with`. With `workers`, so many local ones join those that are there."""
    home, clock = Home(settings), SystemClock()
    blobs = BlobFolder(home.blobs)
    collect_garbage_seldom()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(home.database, clock))
        engine = await stack.enter_async_context(create_engine(settings, blobs, clock))
        pool = WorkerPool(settings, home=home, engine=engine, store=store, own=workers)
        await stack.enter_async_context(pool)
        skills = load_registry().specs
        yield Grid(settings, store=store, blobs=blobs, engine=engine, pool=pool, skills=skills, clock=clock)


def create_engine(settings: Settings, blobs: BlobFolder, clock: Clock) -> GridEngine:
    """The grid engine as the settings want it."""
    patience = GridSettings(grace_seconds=settings.grace_seconds, no_worker_seconds=settings.no_worker_seconds)
    return GridEngine(blobs, clock, settings=patience)


def collect_garbage_seldom() -> None:
    """Thousands of attempts under way are many live objects: walking them every 700 new ones costs a fifth."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
