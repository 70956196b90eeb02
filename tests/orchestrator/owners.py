"""Masters that follow each other on one run: a real SQLite file, and workers that outlive each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from nadg.domain.changes import Change
from nadg.domain.clock import SystemClock
from nadg.domain.errors import LeaseLost
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, NewRun, RunOptions, RunRecord
from nadg.domain.skill import SkillSpec
from nadg.engines.fake import Carrier, FakeEngine, FakeWorkers
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.loop import RunLoop, RunStore
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.recovery import recovered_progress
from nadg.store import SqlStore, open_store
from nadg.store.api import ReusableOutcome, Runs

CLOCK = SystemClock()
SKILLS = {"rows.merged": SkillSpec(name="rows.merged", summary="", maps_over="rows", merges=True)}


class Unwatched:
    """A watcher that looks away."""

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class CutStore:
    """The store of a master that is deposed at its commit number `at`: just before it, or just after."""

    def __init__(self, runs: Runs, at: int, *, after: bool) -> None:
        self._runs, self._left, self._after = runs, at, after
        self.cut = False

    async def commit(self, lease: Lease, changes: Sequence[Change]) -> int:
        self._left -= 1
        if self._left == 0:
            self.cut = True
            if self._after:
                await self._runs.commit(lease, changes)
            await self._runs.release(lease)
            raise LeaseLost("deposed")
        return await self._runs.commit(lease, changes)

    async def reusable(self, keys: Iterable[str], environments: Collection[str]) -> dict[str, ReusableOutcome]:
        return await self._runs.reusable(keys, environments)

    async def renew(self, lease: Lease, lease_seconds: float) -> None:
        await self._runs.renew(lease, lease_seconds)

    async def cancel_requested(self, run_id: str) -> str | None:
        return await self._runs.cancel_requested(run_id)

    async def request_cancel(self, run_id: str, reason: str) -> bool:
        return await self._runs.request_cancel(run_id, reason)


class Owners:
    """One store, one set of workers, any number of masters."""

    def __init__(self, folder: Path, store: SqlStore, workers: FakeWorkers) -> None:
        self.store, self.workers = store, workers
        self.blobs = BlobFolder(folder / "blobs")

    async def first(
        self,
        engine: FakeEngine,
        plan: Plan,
        *,
        run_id: str = "run1",
        store: RunStore | None = None,
        models: ModelAccess | None = None,
    ) -> tuple[RunLoop, Lease]:
        """The loop of a run that begins; nothing serves again, so that all of it is carried out."""
        new = NewRun(id=run_id, command="c", planner="file", plan=plan, options=RunOptions(use_cache=False))
        lease = await self.store.runs.create(new, "first")
        return self._loop(new, lease, engine, store, models=models), lease

    async def next(
        self, engine: FakeEngine, run_id: str = "run1", *, owner: str = "next", models: ModelAccess | None = None
    ) -> RunLoop:
        """The loop of a run that nobody holds any more."""
        runs = self.store.runs
        lease = await runs.claim(run_id, owner)
        assert lease is not None
        record = await runs.get(run_id)
        new = NewRun(
            id=run_id, command=record.command, planner=record.planner, plan=record.plan, options=record.options
        )
        found = recovered_progress(record, await runs.plan_events(run_id), SKILLS)
        return RunLoop(
            new,
            lease,
            store=runs,
            engine=engine,
            blobs=self.blobs,
            clock=CLOCK,
            skills=SKILLS,
            watcher=Unwatched(),
            models=models,
            recovered=found,
            created_at=record.created_at,
        )

    def _loop(
        self,
        new: NewRun,
        lease: Lease,
        engine: FakeEngine,
        store: RunStore | None,
        *,
        models: ModelAccess | None = None,
    ) -> RunLoop:
        return RunLoop(
            new,
            lease,
            store=store or self.store.runs,
            engine=engine,
            blobs=self.blobs,
            clock=CLOCK,
            skills=SKILLS,
            watcher=Unwatched(),
            lease_seconds=0.5,
            models=models,
        )

    async def depose(self, lease: Lease) -> None:
        """Its holder loses it, and does not know."""
        await self.store.runs.release(lease)

    async def record(self, run_id: str = "run1") -> RunRecord:
        return await self.store.runs.get(run_id)


@asynccontextmanager
async def open_owners(folder: Path, carry: Carrier, *, slots: int = 4) -> AsyncIterator[Owners]:
    async with open_store(folder / "nadg.db", CLOCK) as store, FakeWorkers(carry, CLOCK, slots=slots) as workers:
        yield Owners(folder, store, workers)


async def wait_until(holds: Callable[[], bool]) -> None:
    """A bounded look at something that offers no event."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # what is waited for says nothing when it changes
            await asyncio.sleep(0.005)
