"""A master whose database is in trouble: what people hear, and that it goes on or stops as they wish."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import socket
import sqlite3
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nadg.bootstrap import grid
from nadg.bootstrap.database import tell_trouble, unless
from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.home import Home
from nadg.bootstrap.review import RunEstimate
from nadg.bootstrap.up import serve_up
from nadg.cli.main import run_command_line
from nadg.domain.changes import Change
from nadg.domain.clock import SystemClock
from nadg.domain.errors import StoreUnavailable
from nadg.domain.plan import Plan
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState
from nadg.domain.tier import Tier
from nadg.engines.grid import WorkerView
from nadg.settings import Settings
from nadg.store import open_store, store
from nadg.store.api import StoreTrouble

WAITING = "The database does not answer (another process holds the database file); waiting. Nothing is lost."
AGAIN = "The database answers again; going on."


@pytest.fixture(autouse=True)
def _short_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is held is told of after half a second instead of five."""
    monkeypatch.setattr(store, "PATIENT_BUSY_SECONDS", 0.3)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", workers=1, min_sandbox=Tier.NONE, allow_unsafe_none=True)


@contextmanager
def _held(settings: Settings) -> Iterator[Callable[[str], object]]:
    """Another's connection, to hold the file with and to let it go."""
    with closing(sqlite3.connect(Home(settings).database, isolation_level=None)) as other:
        yield other.execute


async def _make(settings: Settings) -> None:
    async with open_store(Home(settings).database, SystemClock()):
        pass


def _trouble(reason: str) -> StoreTrouble:
    return StoreTrouble(since=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), reason=reason, tries=1)


def test_people_hear_of_trouble_once_and_the_log_of_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    tell = tell_trouble(said.append)
    with caplog.at_level(logging.INFO):
        for trouble in (_trouble("it is away"), _trouble("it starts"), None, _trouble("it is full"), None):
            tell(trouble)
    waiting = "The database does not answer ({}); waiting. Nothing is lost."
    assert said == [waiting.format("it is away"), AGAIN, waiting.format("it is full"), AGAIN]
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "it is away",
        "it starts",
        "the database answers again",
        "it is full",
        "the database answers again",
    ]


def test_opening_is_given_up_where_something_else_comes_first() -> None:
    async def scenario() -> None:
        stop, ended = asyncio.Event(), list[str]()

        async def opening() -> str:
            try:
                stop.set()
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")
            return "never"

        async def answer(text: str) -> str:
            if not text:
                raise StoreUnavailable("away")
            return text

        assert await unless(asyncio.Event(), answer("open")) == "open"
        with pytest.raises(StoreUnavailable):
            await unless(asyncio.Event(), answer(""))
        assert await unless(stop, opening()) is None
        assert ended == ["cancelled"]

    asyncio.run(scenario())


def test_a_run_against_a_database_that_cannot_be_opened_ends_in_one_sentence(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NADG_HOME", str(settings.home))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grid, "OPENING_SECONDS", 1.5)
    monkeypatch.setenv("NADG_LOG_LEVEL", "info")
    asyncio.run(_make(settings))
    with _held(settings) as execute:
        execute("BEGIN IMMEDIATE")
        assert run_command_line(["run", "Count the words"]) == 1
    told = capsys.readouterr()
    assert "(another process holds the database file); waiting, for 1.5 s at most." in told.err
    where = Home(settings).database
    assert told.out == ""
    assert "INFO nadg.bootstrap.database: the database does not answer since" in told.err
    assert told.err.splitlines()[-1] == f"nadg: database {where} could not be opened: database is locked"


class _Watcher:
    """Does something when the run begins and when it is told of trouble."""

    def __init__(self, on_created: Callable[[], object], on_waiting: Callable[[], object]) -> None:
        self._on_created, self._on_waiting = on_created, on_waiting
        self.said: list[str] = []

    def run_created(self, run_id: str, plan: Plan) -> None:
        self._on_created()

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...

    def estimated(self, estimate: RunEstimate) -> None: ...

    def workers(self, views: Sequence[WorkerView]) -> None: ...

    def notice(self, text: str) -> None:
        self.said.append(text)
        if text == WAITING:
            self._on_waiting()


def test_a_run_waits_for_its_database_and_ends_well(settings: Settings, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("subtasks:\n  - id: a\n    work: {kind: python, code: result = 2}\n")

    async def scenario() -> None:
        await _make(settings)
        with _held(settings) as execute:
            watcher = _Watcher(lambda: execute("BEGIN IMMEDIATE"), lambda: execute("ROLLBACK"))
            async with open_grid(settings, notice=watcher.notice) as opened:
                planned = await opened.plan(None, plan, [])
                record = await opened.run(planned, RunOptions(min_sandbox=Tier.NONE), watcher)
        assert record.state is RunState.SUCCEEDED, record.reason
        assert record.subtasks[0].result is not None
        assert record.subtasks[0].result.inline == b"2"
        assert watcher.said == [WAITING, AGAIN]

    asyncio.run(scenario())


def test_a_master_that_waits_for_its_database_can_be_stopped(settings: Settings) -> None:
    """Meanwhile it says what it waits for to whoever asks."""
    ready: list[int] = []
    health: list[dict[str, Any]] = []
    stopping: list[Callable[[], object]] = []
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    settings = settings.model_copy(update={"master_port": port})

    def ask_and_stop() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            health.append(json.load(answer))
        stopping[0]()

    asking = threading.Thread(target=ask_and_stop)

    async def scenario() -> None:
        await _make(settings)
        with _held(settings) as execute:
            execute("BEGIN IMMEDIATE")
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            stopping.append(lambda: loop.call_soon_threadsafe(stop.set))
            watcher = _Watcher(str, asking.start)
            await serve_up(settings, 1, stop, lambda count, _: ready.append(count), watcher)
        assert watcher.said == [WAITING]

    asyncio.run(scenario())
    asking.join()
    assert ready == []
    database = health[0]["database"]
    assert (health[0]["status"], database["reason"]) == ("waiting", "another process holds the database file")
    assert datetime.datetime.fromisoformat(database["since"]) < datetime.datetime.now(datetime.UTC)
    assert database["tries"] > 1
