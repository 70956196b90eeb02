"""A master goes on with what it can go on with: the rest it leaves, once, and is none the worse for it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nadg.api.bell import Bell
from nadg.bootstrap.carrying import CarriedWatcher, Planning, RunCarrier
from nadg.bootstrap.doors import Doors
from nadg.bootstrap.fitness import what_lacks
from nadg.bootstrap.grid import create_engine
from nadg.bootstrap.home import Home
from nadg.bootstrap.master import Master, MasterWatcher
from nadg.bootstrap.submitted import MasterRooms
from nadg.bootstrap.workers import WorkerPool
from nadg.domain.changes import RunChanged, SubtaskChanged
from nadg.domain.clock import SystemClock
from nadg.domain.errors import LeaseLost
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, NewRun, RunOptions, RunRecord
from nadg.domain.states import RunState, SubtaskState
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.model_access import ModelAccess
from nadg.settings import Settings
from nadg.store import SqlStore, open_store
from nadg.store.api import StoredEvent
from nadg.store.runs import SqlRuns

PYTHON = {"kind": "python", "code": "result = 1"}
PROMPT = {"kind": "prompt", "prompt": "Say one"}
SKILL = {"kind": "skill", "skill": "of.elsewhere"}


def new_run(run_id: str, *, work: dict[str, str] | None = None, options: RunOptions | None = None) -> NewRun:
    plan = Plan.model_validate({"subtasks": [{"id": "a", "work": work or PYTHON}]})
    return NewRun(id=run_id, command="x", planner="file", plan=plan, options=options or RunOptions())


class Breaking(RunCarrier):
    """Cannot go on with any run."""

    async def resume(
        self, lease: Lease, watcher: CarriedWatcher, models: ModelAccess | None, planning: Planning | None = None
    ) -> RunRecord:
        raise RuntimeError("a fault")


class SlowRuns(SqlRuns):
    """Reads a run for longer than its lease lasts, and is done once the lease was renewed twice."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__(store._database, SystemClock())
        self.renewals, self.renewed = 0, asyncio.Event()

    async def renew(self, lease: Lease, lease_seconds: float = 0) -> None:
        await super().renew(lease, lease_seconds)
        self.renewals += 1
        if self.renewals == 2:
            self.renewed.set()

    async def plan_events(self, run_id: str) -> list[StoredEvent]:
        await self.renewed.wait()
        raise LeaseLost("far enough")


class Able(Master):
    """It has no worker, and takes runs over as if it had one."""

    def _has_worker(self) -> bool:
        return True


class House:
    """A master without workers, and what it tells."""

    def __init__(self, rooms: MasterRooms, store: SqlStore) -> None:
        self.rooms, self.store, self.runs = rooms, store, store.runs
        self.told: asyncio.Queue[str] = asyncio.Queue()

    def master(self) -> Master:
        return Able(self.rooms, Bell(), self.told.put_nowait)

    async def orphan(self, new: NewRun) -> None:
        await self.runs.release(await self.runs.create(new, "another", 60))


@asynccontextmanager
async def opened(folder: Path, carrier: type[RunCarrier] = RunCarrier) -> AsyncIterator[House]:
    settings = Settings(home=folder, lease_seconds=1.1)
    home, clock, blobs = Home(settings), SystemClock(), BlobFolder(folder / "blobs")
    async with open_store(home.database, clock) as store, create_engine(settings, blobs, clock) as engine:
        parts: dict[str, Any] = {"store": store, "engine": engine, "blobs": blobs, "clock": clock}
        rooms = MasterRooms(
            settings=settings,
            pool=WorkerPool(settings, home=home, engine=engine, store=store, own=0, register=True),
            doors=Doors(settings, store, clock),
            carrier=carrier(settings, skills={}, **parts),
            **parts,
        )
        yield House(rooms, store)


def test_a_run_that_cannot_be_read_stops_neither_the_master_nor_other_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Breaking) as house:
            for one in ("a", "b"):
                await house.orphan(new_run(one))
            with closing(sqlite3.connect(tmp_path / "nadg.db")) as file, file:
                file.execute("UPDATE runs SET plan = x'00' WHERE id = 'a'")
            async with house.master() as master:
                assert "Run a has no master, and is left to others: it cannot be read" in await house.told.get()
                assert await house.told.get() == "Going on with run b, whose master is gone."
                await master._adopter.look()

    asyncio.run(scenario())


def test_a_run_that_breaks_off_at_once_is_given_up_and_not_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Breaking) as house:
            await house.orphan(new_run("a"))
            async with house.master() as master:
                told = [await house.told.get() for _ in range(2)]
                assert told[1] == "Run a broke off: a fault"
                assert await house.runs.unowned() == ["a"], "others may go on with it at once"
                await master._adopter.look()
                lease = await house.runs.claim("a", "other", 60)
                assert lease is not None
                assert lease.term == 3, "it was claimed here once"

    asyncio.run(scenario())


def test_a_run_that_needs_a_model_is_left_by_a_master_without_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.orphan(new_run("a", work=PROMPT))
            async with house.master():
                assert "it needs a language model, and none is configured here" in await house.told.get()
            record = await house.runs.get("a")
            assert (record.state, record.orphaned) == (RunState.PLANNED, True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("new", "has_model", "lacks"),
    [
        (new_run("a"), False, False),
        (new_run("a", work=PROMPT), True, False),
        (new_run("a", work=SKILL), True, True),
        (new_run("a", options=RunOptions(max_repairs=1)), False, True),
        (new_run("a", options=RunOptions(compose_answer=True)), False, True),
        (msgspec.structs.replace(new_run("a"), planning=True), False, True),
    ],
)
def test_what_lacks_depends_on_what_is_still_to_be_done(
    tmp_path: Path, new: NewRun, has_model: bool, lacks: bool
) -> None:
    async def scenario() -> None:
        async with open_store(tmp_path / "nadg.db", SystemClock()) as store:
            lease = await store.runs.create(new, "me", 60)
            assert bool(what_lacks(await store.runs.get("a"), {}, has_model=has_model)) is lacks
            ended = SubtaskChanged(subtask_id="a", state=SubtaskState.CANCELLED)
            await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING), ended])
            of_the_run = lacks and not has_model
            assert bool(what_lacks(await store.runs.get("a"), {}, has_model=has_model)) is of_the_run

    asyncio.run(scenario())


def test_a_lease_is_kept_while_a_large_run_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            carrier = house.rooms.carrier
            lease = await house.runs.create(new_run("a"), carrier.owner, 0.3)
            slow = house.store.runs = SlowRuns(house.store)
            resuming = asyncio.create_task(carrier.resume(lease, watcher=None, models=None))  # type: ignore[arg-type]  # nothing is told
            await asyncio.wait({resuming}, timeout=0)
            assert "a" in carrier.carried, "it is not adopted here once more"
            with pytest.raises(LeaseLost, match="far enough"):
                await resuming
            assert slow.renewals == 2
            assert carrier.carried == frozenset()

    asyncio.run(scenario())


def test_a_run_that_is_broken_off_while_its_master_stops_is_left_as_it_stands(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            carrier, created = house.rooms.carrier, asyncio.Event()
            watcher = MasterWatcher(Bell(), house.told.put_nowait, created.set)
            carrying = asyncio.create_task(carrier.carry(new_run("a"), watcher, None))
            await created.wait()
            carrier._leaving = True  # the run itself has not heard of it yet
            carrying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await carrying
            record = await house.runs.get("a")
            assert (record.state.value in ("planned", "running"), record.orphaned) == (True, True)

    asyncio.run(scenario())
