"""A run that is submitted while the database does not answer: an answer in time, and never two runs of one."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.api.bell import Bell
from nadg.api.errors import status_of
from nadg.bootstrap import grid
from nadg.bootstrap import master as masters
from nadg.bootstrap.carrying import RunCarrier
from nadg.bootstrap.doors import Doors
from nadg.bootstrap.grid import create_engine
from nadg.bootstrap.home import Home
from nadg.bootstrap.master import Master
from nadg.bootstrap.submitted import MasterRooms
from nadg.bootstrap.workers import PoolWatcher, WorkerPool
from nadg.domain.clock import SystemClock
from nadg.domain.errors import NadgError, NotFound, StoreUnavailable
from nadg.domain.master_api import Submission
from nadg.domain.run import Lease, NewRun
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings
from nadg.store import SqlStore, open_store, store
from nadg.store.api import LEASE_SECONDS
from nadg.store.runs import SqlRuns

ID = "1m8akp5nfe6kkaz7"
PLAN = {"subtasks": [{"id": "a", "work": {"kind": "python", "code": "result = 1"}}]}


class AnswerLost(SqlRuns):
    """Keeps a new run, and whoever made it never hears of that."""

    def __init__(self, of: SqlStore) -> None:
        super().__init__(of._database, SystemClock())
        self.created = asyncio.Event()

    async def create(self, run: NewRun, owner: str, lease_seconds: float = LEASE_SECONDS) -> Lease:
        await super().create(run, owner, lease_seconds)
        self.created.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class NoPool(WorkerPool):
    """None are needed: whether a run is stored is asked, not what comes of it."""

    async def ensure(self, watcher: PoolWatcher) -> int:
        return 0


@pytest.fixture(autouse=True)
def _short_tries_and_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is patient only where the test says so."""
    monkeypatch.setattr(store, "PATIENT_BUSY_SECONDS", 0.1)
    monkeypatch.setattr(masters, "STORE_SECONDS", 0.4)
    monkeypatch.setattr(grid, "require_workers", lambda *_, **__: None)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else may write to the database."""
    with contextlib.closing(sqlite3.connect(folder / "nadg.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextlib.asynccontextmanager
async def mastered(folder: Path, runs: type[AnswerLost] | None = None) -> AsyncIterator[tuple[Master, SqlStore]]:
    """A master without workers."""
    settings = Settings(home=folder, lease_seconds=60, no_worker_seconds=0.1)
    home, clock, blobs = Home(settings), SystemClock(), BlobFolder(folder / "blobs")
    async with (
        open_store(home.database, clock, patience_seconds=None) as kept,
        create_engine(settings, blobs, clock) as engine,
    ):
        if runs is not None:
            kept.runs = runs(kept)
        parts: dict[str, Any] = {"store": kept, "engine": engine, "blobs": blobs, "clock": clock}
        rooms = MasterRooms(
            settings=settings,
            pool=NoPool(settings, home=home, engine=engine, store=kept, own=0, register=True),
            doors=Doors(settings, kept, clock),
            carrier=RunCarrier(settings, skills={}, **parts),
            **parts,
        )
        async with Master(rooms, Bell(), lambda text: None) as master:
            yield master, kept


async def refused(master: Master, asked: Submission) -> NadgError:
    with pytest.raises(StoreUnavailable, match="the database does not answer") as caught:
        await asyncio.wait_for(master.submit(asked), 20)
    assert status_of(caught.value) == 503
    return caught.value


def test_a_run_that_nobody_could_ask_for_again_is_called_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with mastered(tmp_path) as (master, kept):
            with held(tmp_path):
                assert "is called off, ask again" in str(await refused(master, Submission(plan=PLAN)))
            monkeypatch.setattr(masters, "STORE_SECONDS", 20)
            again = await master.submit(Submission(plan=PLAN))
            runs = {one.id: one for one in await kept.runs.list(10)}
            for other in runs.keys() - {again}:  # its last try went through after all
                assert await kept.runs.cancel_requested(other) is not None
            assert again in runs

    asyncio.run(scenario())


def test_with_an_id_of_ones_own_asking_again_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        asked = Submission(plan=PLAN, id=ID)
        async with mastered(tmp_path) as (master, kept):
            with held(tmp_path):
                for _ in range(2):
                    assert f"run {ID} waits for it" in str(await refused(master, asked))
            monkeypatch.setattr(masters, "STORE_SECONDS", 20)
            assert await master.submit(asked) == ID
            assert [one.id for one in await kept.runs.list(10)] == [ID]
            assert await kept.runs.cancel_requested(ID) is None

    asyncio.run(scenario())


def test_a_run_called_off_while_it_was_being_stored_is_not_carried_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with mastered(tmp_path, AnswerLost) as (master, kept):
            assert isinstance(kept.runs, AnswerLost)
            asking = asyncio.create_task(master.submit(Submission(plan=PLAN, id=ID)))
            await kept.runs.created.wait()
            assert master.call_off(ID)
            with pytest.raises(NadgError, match="called off"):
                await asking
            while await kept.runs.cancel_requested(ID) is None:
                with contextlib.suppress(NotFound):
                    await kept.runs.find(ID)

    asyncio.run(asyncio.wait_for(scenario(), 20))
