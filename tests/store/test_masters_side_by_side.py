"""Masters that share a server stand in nobody's way: neither one that stops in the middle, nor one that writes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Connection, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from nadg.domain.blob import BlobRef
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.run import NewRun
from nadg.domain.worker import WorkerNode, WorkerNote, WorkerStatus
from nadg.store import SqlStore, open_store, retention
from nadg.store.api import StoreTrouble
from nadg.store.database import Database
from nadg.store.dialect import locate
from nadg.store.dialects.postgresql import PostgreSQL
from nadg.store.leases import Fence
from nadg.store.patience import Patience
from tests.support.postgres import OWNER, Server


class StandingStill:
    """An operation that holds a run's row and then, the first time, waits until it may go on."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self.inside, self.go_on, self.tries = threading.Event(), threading.Event(), 0

    def carry_out(self, connection: Connection) -> int:
        Fence(connection, [self._run_id])
        self.tries += 1
        self.inside.set()
        assert self.go_on.wait(30)
        connection.exec_driver_sql("SELECT 1")
        return self.tries


@pytest.mark.parametrize("pooled", [False, True])
def test_a_master_that_stands_still_in_the_middle_of_a_write_loses_its_run_and_its_write_is_repeated(
    server: Server, pooler_port: int, empty_database: str, new_run: Callable[..., NewRun], pooled: bool
) -> None:
    async def scenario() -> None:
        still = StandingStill("r")
        url = server.url(empty_database, port=pooler_port if pooled else 0)
        dialect = PostgreSQL(locate(url).url, idle_seconds=0.3)
        stopped = Database(dialect, 1, Patience(None, SystemClock(), lambda _: None))
        async with open_store(url, SystemClock()) as other:
            await stopped.open()
            await other.runs.create(new_run(run_id="r"), "the stopped one", 0)
            writing = asyncio.create_task(stopped.write(still.carry_out))
            assert await asyncio.to_thread(still.inside.wait, 30)
            async with asyncio.timeout(15):
                lease = await other.runs.claim("r", "other")
            assert lease is not None
            assert lease.term == 2
            still.go_on.set()
            assert await writing == 2, "what the server undid is done again"
            await stopped.close()

    asyncio.run(scenario())


def _note(row: WorkerNode) -> WorkerNote:
    return WorkerNote(was=row, status=WorkerStatus.OFFLINE, reason="gone")


def _wait_for_a_lock(connection: psycopg.Connection[tuple[object, ...]], database: str) -> None:
    """A foreign process tells nobody that somebody waits."""
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 20
    while connection.execute(waits, (database,)).fetchone() is None:
        assert time.monotonic() < deadline, "nobody waits"


def test_two_masters_note_the_same_workers_in_one_order(server: Server, empty_database: str) -> None:
    async def scenario() -> None:
        url = server.url(empty_database)
        lock = "SELECT 1 FROM nadg.worker_nodes WHERE name = %s FOR UPDATE NOWAIT"
        async with open_store(url, SystemClock()) as store:
            first, second = [await store.workers.add(f"http://{name}:1", name) for name in ("a", "b")]
            with psycopg.connect(url) as another, psycopg.connect(url, autocommit=True) as watching:
                another.execute(lock, ("a",))
                noting = asyncio.create_task(store.workers.note([_note(second), _note(first)]))
                await asyncio.to_thread(_wait_for_a_lock, watching, empty_database)
                another.execute(lock, ("b",))  # else each would hold what the other one waits for
            await noting
            assert {row.reason for row in await store.workers.list()} == {"gone"}

    asyncio.run(scenario())


def test_calls_without_a_run_are_not_sought_by_comparing_each_with_each(
    server: Server, used_database: str
) -> None:
    delete = retention._PRUNE_CALLS.compile(
        dialect=PGDialect_psycopg(),  # type: ignore[no-untyped-call]  # SQLAlchemy types no dialect
        schema_translate_map={None: "nadg"},
        render_schema_translate=True,
    )
    with psycopg.connect(server.url(used_database)) as connection:
        plan = connection.execute(f"EXPLAIN {delete}".encode(), {"b_moment": "2026-01-01"}).fetchall()
    assert "SubPlan" not in str(plan)


def test_a_whole_id_is_found_without_looking_at_all_runs(
    place: str, clock: Clock, new_run: Callable[..., NewRun]
) -> None:
    async def scenario() -> None:
        async with open_store(place, clock) as store:
            assert isinstance(store, SqlStore)
            for one in ("abc", "abcd"):
                await store.runs.create(new_run(run_id=one), "me")
            asked: list[str] = []
            event.listen(
                store._database._reader, "before_cursor_execute", lambda *given: asked.append(str(given[2]))
            )
            assert await store.runs.find("ABC") == "abc"
            assert not [one for one in asked if "substr" in one]
            assert await store.runs.find("abcd") == "abcd"

    asyncio.run(scenario())


def test_what_took_too_long_has_more_time_when_it_is_tried_again(server: Server, empty_database: str) -> None:
    async def scenario() -> None:
        dialect = PostgreSQL(locate(server.url(empty_database)).url, bound_seconds=0.4)
        database = Database(dialect, 1, Patience(None, SystemClock(), lambda _: None))
        await database.open()
        async with asyncio.timeout(20):
            await database.write(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(0.6)"))
        await database.close()

    asyncio.run(scenario())


def test_what_everybody_is_told_of_trouble_names_neither_server_nor_user(
    server: Server, empty_database: str
) -> None:
    async def scenario() -> None:
        told: asyncio.Queue[StoreTrouble | None] = asyncio.Queue()
        url = server.url(empty_database)
        async with open_store(url, SystemClock(), patience_seconds=None, on_trouble=told.put_nowait) as store:
            server.execute(empty_database, f"REVOKE ALL ON nadg.blobs FROM {OWNER}")
            recording = asyncio.create_task(store.blobs.record([BlobRef(sha256="0" * 64, size=1)]))
            trouble = await told.get()
            assert trouble is not None
            assert trouble.reason == "the user lacks a right; let the database's owner run `nadg db upgrade`"
            server.execute(empty_database, f"GRANT ALL ON nadg.blobs TO {OWNER}")
            await recording

    asyncio.run(scenario())
