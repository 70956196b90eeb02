"""A pool and the registry, with real workers: what people do to the registry reaches a grid that is up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nadg.bootstrap import workers as pool_module
from nadg.bootstrap.home import Home
from nadg.bootstrap.quiet import QuietWatcher
from nadg.bootstrap.workers import WorkerPool
from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptStarted
from nadg.domain.worker import WorkerStatus
from nadg.engines.grid import GridEngine, WorkerView
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings
from nadg.store import open_store
from nadg.store.api import Store
from tests.support.nadg_folder import Folder
from tests.support.worker_process import TOKEN, start_worker

__all__ = ["start_worker"]


class Sink:
    """Hears of attempts."""

    def __init__(self) -> None:
        self.started, self.ended = asyncio.Event(), asyncio.Event()
        self.kinds: list[str] = []

    def event(self, event: AttemptEvent) -> None:
        if isinstance(event, AttemptStarted):
            self.started.set()
        else:
            self.kinds.append(event.outcome.kind if isinstance(event, AttemptFinished) else event.reason)
            self.ended.set()

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        pass


class Looks(QuietWatcher):
    """Tells of each look at the registry."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def workers(self, views: Sequence[WorkerView]) -> None:
        self._begun.set()

    async def status_is(self, store: Store, key: str, status: WorkerStatus) -> str:
        """The worker's reason, once the registry says so."""
        async with asyncio.timeout(15):
            while True:
                row = await store.workers.get(key)
                if row.status is status:
                    return row.reason
                self._begun.clear()
                await self._begun.wait()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(pool_module, "LOOK_SECONDS", 0.05)
    return Folder(tmp_path, tmp_path / "home")


@asynccontextmanager
async def open_pool(folder: Folder) -> AsyncIterator[tuple[GridEngine, Store, Looks]]:
    settings = Settings(home=folder.path / "home", worker_token=SecretStr(TOKEN), workers=0)
    home, clock = Home(settings), SystemClock()
    async with (
        open_store(home.database, clock) as store,
        GridEngine(BlobFolder(home.blobs), clock) as engine,
        WorkerPool(settings, home=home, engine=engine, store=store, own=None) as pool,
    ):
        looks = Looks()
        await pool.ensure(looks)
        yield engine, store, looks


async def nadg(folder: Folder, *arguments: str) -> None:
    done = await asyncio.to_thread(folder.ask, "workers", *arguments)
    assert done.returncode == 0, done.stderr


async def states(engine: GridEngine, holds: Callable[[dict[str, str]], bool]) -> None:
    """Return when this holds of the states of all workers by name."""
    async with asyncio.timeout(30):
        await engine.wait_until(
            lambda: holds({view.info.name: view.state for view in engine.workers() if view.info})
        )


def attempt(number: int, code: str = "result = 1") -> Assignment:
    return Assignment(attempt_id=f"r/s/{number}/1", job=Code(code=code), piece=Whole())


def test_workers_are_drained_taken_back_added_and_removed_while_a_grid_is_up(
    folder: Folder, start_worker: Any
) -> None:
    one, other = start_worker("one"), start_worker("other")
    assert folder.ask("workers", "add", one.url).returncode == 0

    async def body() -> None:
        async with open_pool(folder) as (engine, store, looks):
            running, waiting = Sink(), Sink()
            await engine.submit(attempt(0, "import time; time.sleep(1); result = 1"), running)
            await running.started.wait()
            await nadg(folder, "drain", "one", "--why", "a new disk")
            await states(engine, lambda found: found == {"one": "draining"})
            assert "a new disk" in engine.workers()[0].reason
            await engine.submit(attempt(1), waiting)
            await running.ended.wait()
            assert (running.kinds, waiting.started.is_set()) == (["succeeded"], False)
            assert (await store.workers.get("one")).status is WorkerStatus.DRAINING
            await nadg(folder, "undrain", "one")
            await waiting.ended.wait()
            assert waiting.kinds == ["succeeded"]

            await nadg(folder, "add", other.url)
            await states(engine, lambda found: found == {"one": "ready", "other": "ready"})
            await looks.status_is(store, other.url, WorkerStatus.ACTIVE)
            await nadg(folder, "remove", "one")
            await states(engine, lambda found: found == {"other": "ready"})
            other.kill()
            assert await looks.status_is(store, other.url, WorkerStatus.OFFLINE)

    asyncio.run(body())


def test_a_silent_worker_is_told_of_and_one_set_offline_by_hand_gets_nothing_new(
    folder: Folder, start_worker: Any
) -> None:
    one = start_worker("one")
    assert folder.ask("workers", "add", one.url).returncode == 0
    assert folder.ask("workers", "add", "http://127.0.0.1:9", "--name", "silent").returncode == 0

    async def body() -> None:
        async with open_pool(folder) as (engine, store, looks):
            assert "nothing listens" in await looks.status_is(store, "silent", WorkerStatus.OFFLINE)
            await states(engine, lambda found: found == {"one": "ready"})
            await nadg(folder, "status", one.url, "offline")
            await states(engine, lambda found: found == {"one": "draining"})

    asyncio.run(body())
