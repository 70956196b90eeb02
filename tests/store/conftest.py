"""A clock that moves when told, runs to store, and a store that is thrown away.

A test of what the store offers takes `opened`, and is run on SQLite, on PostgreSQL and on PostgreSQL through
a pooler. One that also takes `database` is about the file, and is run on SQLite alone.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import psycopg
import pytest

from nadg.domain.clock import Clock, SystemClock
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import NewRun
from nadg.store import SqlStore, open_store
from tests.support.postgres import Server, started_pooler, started_server

Place = Path | str
"""A file, or a URL of PostgreSQL."""

Query = Callable[[str], list[tuple[object, ...]]]
"""The rows that a statement gives, by the database's own client."""

KINDS = ("sqlite", "postgresql", "pgbouncer")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", KINDS[:1] if "database" in metafunc.fixturenames else KINDS, indirect=True)


class _ManualClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return _ManualClock()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server; a test that stops it starts it again."""
    with started_server() as server:
        yield server


@pytest.fixture(scope="session")
def pooler_port(server: Server) -> Iterator[int]:
    with started_pooler(server) as port:
        yield port


@pytest.fixture(scope="session")
def used_database(server: Server) -> Iterator[str]:
    """A database with the tables, which tests use one after another; they leave rows in it."""

    async def make(name: str) -> None:
        async with open_store(server.url(name), SystemClock()):
            pass

    with server.database() as name:
        asyncio.run(make(name))
        yield name


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    """The name of a database with nothing in it."""
    with server.database() as name:
        yield name


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """A database without rows, of the kind that is asked for."""
    if request.param == "sqlite":
        database: Path = request.getfixturevalue("tmp_path")
        return database / "nadg.db"
    server: Server = request.getfixturevalue("server")
    name: str = request.getfixturevalue("used_database")
    port: int = request.getfixturevalue("pooler_port") if request.param == "pgbouncer" else 0
    server.clear(name)
    return server.url(name, port=port)


@pytest.fixture
def advance(clock: Clock, request: pytest.FixtureRequest) -> Callable[[float], None]:
    """Let seconds pass, in the database too where its own time counts: by moving the ends of all leases."""
    place = request.getfixturevalue("place") if "place" in request.fixturenames else None

    def advance(seconds: float) -> None:
        assert isinstance(clock, _ManualClock)
        clock.seconds += seconds
        if isinstance(place, str):
            let_pass(place, seconds)

    return advance


def let_pass(url: str, seconds: float) -> None:
    """As far as leases can tell."""
    with psycopg.connect(url, prepare_threshold=None) as connection:
        move = "UPDATE nadg.runs SET lease_expires_at = lease_expires_at - make_interval(secs => %s)"
        connection.execute(move, (seconds,))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "nadg.db"


@pytest.fixture
def query(place: Place) -> Query:
    def query(sql: str) -> list[tuple[object, ...]]:
        if isinstance(place, Path):
            with closing(sqlite3.connect(place)) as file:
                return file.execute(sql).fetchall()
        with psycopg.connect(place, prepare_threshold=None) as connection:
            connection.execute("SET LOCAL search_path TO nadg")
            return connection.execute(sql.encode()).fetchall()

    return query


@pytest.fixture
def opened(place: Place, clock: Clock) -> Callable[[], AbstractAsyncContextManager[SqlStore]]:
    """Open the test's store."""
    return lambda: open_store(place, clock)


@pytest.fixture
def new_run() -> Callable[..., NewRun]:
    """A run with the given subtasks; ids count up."""
    numbers = itertools.count(1)

    def new_run(*subtask_ids: str, run_id: str = "") -> NewRun:
        parts = tuple(
            Subtask(id=one, title=f"Part {one}", work=PythonWork(kind="python", code="result = 1"))
            for one in subtask_ids or ("a",)
        )
        plan = Plan(goal="try", subtasks=parts)
        return NewRun(id=run_id or f"run{next(numbers):04}", command="try it", planner="file", plan=plan)

    return new_run
