"""PostgreSQL that goes away, hangs or refuses: what is raised, what of it passes, and what goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import Connection, text

from nadg.domain.changes import RunChanged
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import NadgError, StoreUnavailable, UserError
from nadg.domain.run import NewRun
from nadg.domain.states import RunState
from nadg.store import SqlStore, open_store
from nadg.store.api import StoreTrouble
from nadg.store.database import Database
from nadg.store.dialect import locate
from nadg.store.dialects.postgresql import PostgreSQL
from nadg.store.dialects.postgresql_errors import is_passing
from nadg.store.patience import Patience
from nadg.store.tables import metadata
from tests.support.postgres import PASSWORD, Server, free_port, started_server

BOUND_SECONDS = 0.4


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that may be stopped and stunned."""
    with started_server() as server:
        yield server


@pytest.fixture
def own_database(own_server: Server) -> Iterator[str]:
    with own_server.database() as name:
        yield name


@asynccontextmanager
async def _database(dialect: PostgreSQL) -> AsyncIterator[Database]:
    database = Database(dialect, 1, Patience(0, SystemClock(), lambda _: None))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def _located(url: str, bound_seconds: float = 30) -> PostgreSQL:
    return PostgreSQL(locate(url).url, bound_seconds)


async def _failure(store: SqlStore) -> NadgError:
    """What a write and a read raise; both the same kind."""
    errors = []
    for asked in (store.workers.add("http://a:1"), store.workers.list()):
        with pytest.raises(StoreUnavailable) as caught:
            await asked
        errors.append(caught.value)
    return errors[0]


def test_a_server_that_dies_and_comes_back(own_server: Server, own_database: str, clock: Clock) -> None:
    dialect = locate(own_server.url(own_database))

    async def scenario() -> None:
        async with open_store(own_server.url(own_database), clock) as store:
            await store.workers.add("http://a:1")
            await store.workers.list()
            own_server.stop()
            for _ in range(2):  # the connection broke; then none can be made
                failure = await _failure(store)
                assert dialect.is_passing(failure)
                assert str(failure).endswith("; what was being written is kept whole or not at all")
            own_server.start()
            await store.workers.add("http://b:1")
            assert len(await store.workers.list()) == 2

    asyncio.run(scenario())


def test_whoever_has_patience_waits_for_the_server_and_writes_once(
    own_server: Server, own_database: str, new_run: Callable[..., NewRun]
) -> None:
    told: asyncio.Queue[StoreTrouble | None] = asyncio.Queue()
    url = own_server.url(own_database)

    async def scenario() -> None:
        async with open_store(url, SystemClock(), patience_seconds=None, on_trouble=told.put_nowait) as store:
            lease = await store.runs.create(new_run(), "me")
            own_server.stop()
            asked = asyncio.create_task(store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)]))
            trouble = await told.get()
            assert trouble is not None
            assert trouble.reason == "no database answers at its address"
            own_server.start()
            assert await asked == 1
            assert await told.get() is None
            assert len(await store.runs.events_after(lease.run_id, 0)) == 1

    asyncio.run(scenario())


def test_a_backend_that_is_ended_by_an_administrator(own_server: Server, own_database: str, clock: Clock) -> None:
    dialect = locate(own_server.url(own_database))

    async def scenario() -> None:
        async with open_store(own_server.url(own_database), clock) as store:
            await store.workers.list()
            own_server.execute(
                "postgres",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{own_database}'",
            )
            error = await _failure(store)
            assert dialect.is_passing(error)
            assert PASSWORD not in str(error)
            await store.workers.add("http://a:1")

    asyncio.run(scenario())


def test_a_server_that_hangs_is_given_up_after_the_bound(own_server: Server, own_database: str) -> None:
    dialect = _located(own_server.url(own_database), BOUND_SECONDS)

    async def scenario() -> None:
        async with _database(dialect) as database:
            await database.read(lambda connection: connection.execute(text("SELECT 1")).scalar())
            backends = own_server.backends(own_database)
            assert len(backends) == 2
            for one in backends:
                os.kill(one, signal.SIGSTOP)
            try:
                started = time.monotonic()
                asked = (database.write, database.read)
                answers = await asyncio.gather(
                    *(one(lambda connection: connection.execute(text("SELECT 1")).scalar()) for one in asked),
                    return_exceptions=True,
                )
                assert BOUND_SECONDS <= time.monotonic() - started < BOUND_SECONDS + 5
            finally:
                for one in backends:
                    os.kill(one, signal.SIGCONT)
            for answer in answers:
                assert isinstance(answer, StoreUnavailable)
                assert "no answer for 0.4 s" in str(answer)
                assert dialect.is_passing(answer)
            assert await database.write(lambda connection: connection.execute(text("SELECT 2")).scalar()) == 2

    asyncio.run(scenario())


def test_quick_operations_in_a_row_are_not_cut_by_the_bound(own_server: Server, own_database: str) -> None:
    dialect = _located(own_server.url(own_database), BOUND_SECONDS)

    async def scenario() -> None:
        async with _database(dialect) as database:
            ends = time.monotonic() + 2 * BOUND_SECONDS
            while time.monotonic() < ends:
                await database.write(lambda connection: connection.execute(text("SELECT pg_sleep(0.02)")))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("change", "kind", "passes", "said"),
    [
        (
            lambda url: url.replace("nadg_owner", "locked_out"),
            UserError,
            False,
            "user or password is not accepted",
        ),
        (lambda url: url.replace("nadg_owner", "nobody_here"), UserError, False, "no such database or user"),
        (lambda url: url + "_not", UserError, False, "no such database or user"),
        (lambda url: url + "?sslmode=require", UserError, False, "TLS cannot be agreed on"),
        (lambda url: url + "?sslmode=sometimes", UserError, False, "sslmode"),
        (lambda url: url + "?nonsense=1", UserError, False, "no such setting"),
        (lambda _: f"postgresql://a:{PASSWORD}@127.0.0.1:{free_port()}/b", StoreUnavailable, True, "refused"),
    ],
)
def test_a_database_that_cannot_be_opened(
    server: Server,
    used_database: str,
    clock: Clock,
    change: Callable[[str], str],
    kind: type[NadgError],
    passes: bool,
    said: str,
) -> None:
    url = change(server.url(used_database))

    async def scenario() -> None:
        async with open_store(url, clock):
            pass

    with pytest.raises(NadgError) as caught:
        asyncio.run(scenario())
    assert (type(caught.value), said in str(caught.value)) == (kind, True), str(caught.value)
    assert PASSWORD not in str(caught.value) + repr(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert locate(url).is_passing(caught.value.__cause__) is passes


def test_too_many_connections_pass(own_server: Server, own_database: str, clock: Clock) -> None:
    own_server.execute("postgres", f"ALTER DATABASE {own_database} CONNECTION LIMIT 0")
    url = own_server.url(own_database)

    async def scenario() -> None:
        async with open_store(url, clock):
            pass

    with pytest.raises(StoreUnavailable, match="too many connections") as caught:
        asyncio.run(scenario())
    assert locate(url).is_passing(caught.value)


@pytest.mark.parametrize(
    ("kind", "words", "passes"),
    [
        (psycopg.errors.DiskFull, "could not extend file: No space left on device", True),
        (psycopg.errors.ReadOnlySqlTransaction, "cannot execute INSERT in a read-only transaction", True),
        (psycopg.errors.LockNotAvailable, "canceling statement due to lock timeout", True),
        (psycopg.errors.DeadlockDetected, "deadlock detected", True),
        (psycopg.errors.CannotConnectNow, "the database system is starting up", True),
        (psycopg.errors.AdminShutdown, "terminating connection due to administrator command", True),
        (psycopg.errors.InternalError_, "MaxClientsInSessionMode: max clients reached", True),
        (psycopg.errors.InternalError_, "(EMAXCONNSESSION) max clients reached in session mode", True),
        (psycopg.errors.InternalError_, "(ENOTFOUND) tenant/user postgres.x not found", False),
        (psycopg.errors.InternalError_, "unexpected data beyond EOF", False),
        (psycopg.errors.ProtocolViolation, "query_wait_timeout", True),
        (psycopg.OperationalError, "connection failed: FATAL:  Tenant or user not found", False),
        (psycopg.OperationalError, "connection failed: FATAL:  MaxClientsInSessionMode: max clients", True),
        (psycopg.OperationalError, "connection failed: FATAL:  the database system is shutting down", True),
        (psycopg.OperationalError, "failed to resolve host 'db.x.supabase.co'", True),
        (psycopg.errors.UniqueViolation, "duplicate key", False),
        (psycopg.errors.UndefinedTable, 'relation "nadg.runs" does not exist', False),
        (psycopg.errors.InsufficientPrivilege, "permission denied for schema nadg", False),
        (ValueError, "timed out", False),
    ],
)
def test_what_passes_by_itself(kind: type[Exception], words: str, passes: bool) -> None:
    assert is_passing(kind(words)) is passes


def test_reading_sees_one_moment_and_cannot_write(server: Server, used_database: str) -> None:
    server.clear(used_database)
    rows = "SELECT count(*) FROM nadg.blobs"

    async def scenario() -> None:
        async with _database(_located(server.url(used_database))) as database:

            def twice(connection: Connection) -> tuple[object, object]:
                before = connection.execute(text(rows)).scalar()
                server.execute(used_database, "INSERT INTO nadg.blobs VALUES ('b', 1, now(), now())")
                return before, connection.execute(text(rows)).scalar()

            assert await database.read(twice) == (0, 0)
            with pytest.raises(StoreUnavailable, match="read-only transaction"):
                await database.read(lambda connection: connection.execute(metadata.tables["blobs"].delete()))

    asyncio.run(scenario())


def test_the_databases_time_counts_for_leases(
    server: Server,
    used_database: str,
    advance: Callable[[float], None],
    clock: Clock,
    new_run: Callable[..., NewRun],
) -> None:
    """Two masters whose clocks are hours apart; `clock` stands in 2026-01, and that of the server does not."""
    server.clear(used_database)

    async def scenario() -> None:
        async with open_store(server.url(used_database), clock) as store:
            lease = await store.runs.create(new_run(), "me", lease_seconds=60)
            advance(100_000)  # of this master alone
            assert await store.runs.unowned() == []
            assert not (await store.runs.get(lease.run_id)).orphaned
            assert not (await store.runs.list())[0].orphaned
            assert await store.runs.claim(lease.run_id, "you") is None
            assert await store.runs.claim(lease.run_id, "me") == lease
            with pytest.raises(UserError, match="cancel it first"):
                await store.runs.delete(lease.run_id)
            await store.runs.renew(lease, lease_seconds=0)
            assert await store.runs.unowned() == [lease.run_id]
            assert (await store.runs.get(lease.run_id)).orphaned
            taken = await store.runs.claim(lease.run_id, "you", lease_seconds=60)
            assert taken is not None
            assert taken.term == 2

    asyncio.run(scenario())
