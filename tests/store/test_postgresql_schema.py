"""PostgreSQL's tables: by migrations or at once the same, old ones brought up, and rights for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, insert

from nadg.domain.changes import RunChanged
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import NadgError, UserError
from nadg.domain.run import NewRun, RunOptions
from nadg.domain.states import RunState
from nadg.store import codec, open_store, schema
from nadg.store.dialect import locate
from nadg.store.tables import metadata
from tests.store.catalog import catalog
from tests.support.postgres import OWNER, ROLES, Server


def _make(place: str | Path) -> None:
    async def scenario() -> None:
        async with open_store(place, SystemClock()):
            pass

    asyncio.run(scenario())


@contextmanager
def _at_version(place: str | Path, revision: str) -> Iterator[Connection]:
    """A database made by the migrations up to that version."""
    found = locate(place)
    engine = found.open_writer(1)
    try:
        with engine.connect() as connection, connection.begin():
            found.begin_upgrade(connection)
            schema.migrate(connection, revision)
            yield connection
    finally:
        engine.dispose()
        found.close()


def test_migrations_and_tables_are_the_same(server: Server, empty_database: str, used_database: str) -> None:
    with _at_version(server.url(empty_database), schema.REVISIONS[-1]):
        pass
    migrated, direct = catalog(server.url(empty_database)), catalog(server.url(used_database))
    assert migrated == direct
    assert {row[0] for row in direct["columns"]} >= {*metadata.tables, schema.VERSION_TABLE, "task_history"}
    assert all(row[3] for row in direct["rights"] if row[1] == "r")
    assert direct["policies"] == [(0,)]
    _make(server.url(empty_database))  # and it is at home in the code


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty database."""
    if request.param == "sqlite":
        return tmp_path / "nadg.db"
    server: Server = request.getfixturevalue("server")
    return server.url(request.getfixturevalue("empty_database"))


@pytest.mark.parametrize("revision", schema.REVISIONS[:-1])
def test_an_older_database_keeps_its_runs(
    anywhere: Path | str, revision: str, clock: Clock, new_run: Callable[..., NewRun]
) -> None:
    new = new_run("a", "b")
    run = {
        "id": "old",
        "command": "do it",
        "planner": "file",
        "state": "running",
        "created_at": clock.now(),
        "plan": codec.encode_plan(new.plan),
        "inputs": codec.encode(()),
        "options": codec.encode(RunOptions()),
        "lease_term": 1,
        "last_event_seq": 1,
    }
    event = RunChanged(state=RunState.RUNNING)
    with _at_version(anywhere, revision) as connection:
        add_run = insert(metadata.tables["runs"])
        connection.execute(add_run.values(run))
        for place, part in enumerate(new.plan.subtasks):
            row = {"run_id": "old", "id": part.id, "position": place, "title": part.title, "state": "waiting"}
            connection.execute(insert(metadata.tables["subtasks"]).values(row))
        events = metadata.tables["events"]
        row = {"run_id": "old", "seq": 1, "at": clock.now(), "kind": "run", "payload": codec.encode(event)}
        connection.execute(insert(events).values(row))
        worker = {"id": "w", "vm_url": "http://w:1", "status": "busy", "created_at": clock.now(), "labels": b"[]"}
        connection.execute(insert(metadata.tables["worker_nodes"]).values(worker))

    async def scenario() -> None:
        async with open_store(anywhere, clock) as store:
            found = await store.runs.get("old")
            assert (found.command, found.plan, found.created_at) == ("do it", new.plan, clock.now())
            assert (found.answer, found.calls, found.parent) == ("", (), "")
            assert [one.id for one in found.subtasks] == ["a", "b"]
            assert [one.status for one in await store.workers.list()] == ["busy"]
            lease = await store.runs.claim("old", "me")
            assert lease is not None
            await store.runs.commit(lease, [RunChanged(state=RunState.SUCCEEDED, answer="it is done")])
            assert [(one.seq, one.term) for one in await store.runs.events_after("old", 0)] == [(1, 0), (2, 2)]

    asyncio.run(scenario())
    _make(anywhere)  # and what was brought up once is opened as it is


@pytest.mark.parametrize("revision", ["", *schema.REVISIONS[:-1]])
def test_many_masters_bring_a_database_up_at_the_same_time(
    server: Server, empty_database: str, used_database: str, revision: str
) -> None:
    url = server.url(empty_database)
    if revision:
        with _at_version(url, revision):
            pass

    async def open_one() -> None:
        async with open_store(url, SystemClock()) as store:
            assert await store.runs.list() == []

    async def scenario() -> None:
        await asyncio.gather(*(open_one() for _ in range(4)))

    asyncio.run(scenario())
    assert catalog(url) == catalog(server.url(used_database))


@pytest.mark.parametrize("role", ROLES[:2])
def test_strangers_see_nothing_even_of_what_is_added_later(server: Server, used_database: str, role: str) -> None:
    server.execute(used_database, f"SET ROLE {OWNER}; CREATE TABLE IF NOT EXISTS nadg.later (x int)")
    try:
        with psycopg.connect(server.url(used_database, role), autocommit=True) as connection:
            for name in (*metadata.tables, "task_history", schema.VERSION_TABLE, "later"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema nadg"):
                    connection.execute(f"SELECT count(*) FROM nadg.{name}".encode())
    finally:
        server.execute(used_database, "DROP TABLE nadg.later")


def test_a_right_given_by_mistake_shows_no_row(server: Server, empty_database: str) -> None:
    url = server.url(empty_database)
    _make(url)
    row = "('b', 1, now(), now())"
    server.execute(
        empty_database,
        f"INSERT INTO nadg.blobs VALUES {row}",
        "GRANT USAGE ON SCHEMA nadg TO anon; GRANT ALL ON ALL TABLES IN SCHEMA nadg TO anon",
    )
    for role, seen in (("anon", 0), ("service_role", 1), (OWNER, 1)):
        with psycopg.connect(server.url(empty_database, role), autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM nadg.blobs").fetchone() == (seen,)
            assert connection.execute("SELECT count(*) FROM nadg.task_history").fetchone() == (0,)
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security")
    with psycopg.connect(server.url(empty_database, "anon"), autocommit=True) as connection, refused:
        connection.execute(f"INSERT INTO nadg.blobs VALUES {row}".encode())


def test_the_servant_role_works_on_what_the_owner_made(server: Server, used_database: str, clock: Clock) -> None:
    server.clear(used_database)

    async def scenario() -> None:
        async with open_store(server.url(used_database, "service_role"), clock) as store:
            await store.workers.add("http://a:1")
            assert len(await store.workers.list()) == 1

    asyncio.run(scenario())


def _refusal(url: str) -> str:
    with pytest.raises(NadgError) as caught:
        _make(url)
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_not_ours_is_left_alone(server: Server, empty_database: str) -> None:
    url = server.url(empty_database)
    server.execute(empty_database, f"CREATE SCHEMA nadg AUTHORIZATION {OWNER}", "CREATE TABLE nadg.theirs (x int)")
    assert "belongs to something else; name another database" in _refusal(url)
    server.execute(empty_database, "DROP TABLE nadg.theirs")
    _make(url)
    server.execute(empty_database, f"UPDATE nadg.{schema.VERSION_TABLE} SET version_num = '9999'")
    assert "has tables of version 9999" in _refusal(url)


def test_a_user_without_the_right_is_told_so(server: Server, empty_database: str) -> None:
    said = _refusal(server.url(empty_database, "authenticated"))
    assert "the user lacks a right; let the database's owner run `nadg db upgrade`" in said
