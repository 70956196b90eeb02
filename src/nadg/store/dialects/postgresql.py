"""PostgreSQL by psycopg 3: straight, or through a pooler that may change sessions between transactions.

So nothing may outlast a transaction: no prepared statements, no SET, no LISTEN, no lock of a session. What
a session would have been told (isolation, reading only) is said when a transaction begins.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    Pool,
    QueuePool,
    UpdateBase,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from nadg.domain.clock import Clock
from nadg.domain.errors import NadgError, UserError
from nadg.store.dialect import OPTION
from nadg.store.dialects import postgresql_errors, unnest
from nadg.store.dialects.causes import driver_error
from nadg.store.dialects.protection import protection_sql
from nadg.store.dialects.watch import Line, Watch
from nadg.store.guards import Row

SCHEMA = "nadg"
BOUND_SECONDS = 30.0
"""After so long without an end, an operation is ended with an error. Even a large group takes a fraction of it;
what was ended has twice the time when it is tried again."""
IDLE_SECONDS = 10.0
"""Within a transaction the server waits so long for what comes next, and then undoes it. Else a master that was
stopped or cut off in the middle would hold its runs locked: nobody could take them over, and whoever tried would
wait with all of its own writes behind it; an upgrade would wait too, and everybody behind that. Shorter than a
lease."""
UPGRADE_SECONDS = 1800.0
"""Bringing large tables to a new version may take so long, and so long another's upgrade is waited for."""

_DEFAULTS = {
    "application_name": "nadg",
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
"""Unless the URL says otherwise. A server out of reach is noticed sooner than a lease would be waited for."""
_HINTS_FOR_OTHERS = ("pgbouncer", "connection_limit", "pool_timeout", "supa", "workaround", "schema")
"""What hosts add to their URLs for other clients, and libpq refuses."""
_UPGRADE_LOCK = 0x6E616467  # "nadg"
_TABLES = (
    "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE n.nspname = '{SCHEMA}' AND c.relkind IN "
)
_AND_VIEWS = f"{_TABLES} ('r', 'p', 'v', 'm', 'f')"
_ALONE = f"{_TABLES} ('r', 'p') ORDER BY 1"
_HAS_SCHEMA = f"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = '{SCHEMA}'"
_LINE = "nadg_line"


class _Driver(Protocol):
    """What is used of psycopg's connection."""

    def fileno(self) -> int: ...


class PostgreSQL:
    """See `nadg.store.dialect.Dialect`. Raises UserError where the URL lacks a part."""

    another = "another database"
    schema: str | None = SCHEMA
    begin_tries = 1

    def __init__(self, url: URL, bound_seconds: float = BOUND_SECONDS, idle_seconds: float = IDLE_SECONDS) -> None:
        self.url = _complete(url)
        self.name = _shown(self.url)
        self._secret = self.url.password or ""
        self._watch = Watch(bound_seconds)
        self._idle_seconds = idle_seconds

    def __repr__(self) -> str:
        return f"PostgreSQL({self.name})"

    def create_place(self) -> None:
        """The database is there, or nothing can be done."""

    def displaced(self) -> str:
        """A server's files are its own matter."""
        return ""

    def open_writer(self, busy_seconds: float) -> Engine:
        return self._open("READ COMMITTED", NullPool)

    def open_reader(self, busy_seconds: float, connections: int) -> Engine:
        return self._open("REPEATABLE READ", QueuePool, connections, read_only=True)

    def close(self) -> None:
        self._watch.close()

    def bounded(self) -> AbstractContextManager[None]:
        return self._watch.bounded()

    def execute_many(self, connection: Connection, statement: UpdateBase, rows: Sequence[Row]) -> int:
        return unnest.execute_many(connection, SCHEMA, statement, rows)

    def now(self, connection: Connection, clock: Clock) -> datetime.datetime:
        """The server's, as of this very moment: masters run on machines whose clocks may be off."""
        now: datetime.datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now.astimezone(datetime.UTC)

    def table_names(self, connection: Connection) -> frozenset[str]:
        return frozenset(connection.exec_driver_sql(_AND_VIEWS).scalars())

    def begin_upgrade(self, connection: Connection) -> None:
        """The lock and the path end with the transaction. Migrations name their tables without a schema."""
        self._watch.allow(UPGRADE_SECONDS)
        connection.exec_driver_sql(f"SELECT pg_catalog.pg_advisory_xact_lock({_UPGRADE_LOCK})")
        if connection.exec_driver_sql(_HAS_SCHEMA).scalar() is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        connection.exec_driver_sql(f"SET LOCAL search_path TO {SCHEMA}")

    def protect(self, connection: Connection) -> None:
        for statement in protection_sql(SCHEMA, connection.exec_driver_sql(_ALONE).scalars().all()):
            connection.exec_driver_sql(statement)

    def is_locked(self, error: Exception) -> bool:
        """Whoever waits for a lock here waits within the bound of the operation."""
        return False

    def is_passing(self, error: BaseException) -> bool:
        return postgresql_errors.is_passing(driver_error(error))

    def passing_reason(self, error: BaseException) -> str:
        if (seconds := self._watch.overdue_seconds()) is not None:
            return f"the database gave no answer for {seconds:g} s"
        return postgresql_errors.passing_reason(driver_error(error))

    def explain(self, error: Exception) -> NadgError:
        """A try whose answer was lost may have gone through, whatever the last one failed for."""
        lost = self.is_passing(error)
        kept = "what was being written is kept whole or not at all" if lost else "nothing of this write was kept"
        return self._explained(error, "", f"; {kept}")

    def explain_open(self, error: Exception) -> NadgError:
        return self._explained(error, " could not be opened", "")

    def _explained(self, error: Exception, what: str, after: str) -> NadgError:
        if (seconds := self._watch.overdue_seconds()) is not None:
            what += f": no answer for {seconds:g} s"
        return postgresql_errors.explain(self.name, driver_error(error), self._secret, what, after)

    def _open(self, isolation: str, pool: type[Pool], connections: int = 0, read_only: bool = False) -> Engine:
        sizes = {"pool_size": connections, "max_overflow": 0} if connections else {}
        engine = create_engine(
            self.url,
            poolclass=pool,
            isolation_level=isolation,
            use_native_hstore=False,
            connect_args={"prepare_threshold": None},
            execution_options={
                OPTION: self,
                "postgresql_readonly": read_only,
                "schema_translate_map": {None: SCHEMA},
            },
            **sizes,
        )
        self._keep_lines(engine)
        return engine

    def _keep_lines(self, engine: Engine) -> None:
        """Let the watch know each transaction's socket, and the server how long it may stand still."""
        idle = f"SET LOCAL idle_in_transaction_session_timeout = {round(self._idle_seconds * 1000)}"

        @event.listens_for(engine, "connect", insert=True)  # before SQLAlchemy itself asks something
        def _connected(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
            line = record.info[_LINE] = Line(_driver(connection).fileno())
            self._watch.use(line)

        @event.listens_for(engine, "close")
        def _closed(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
            if (line := record.info.pop(_LINE, None)) is not None:
                line.close()

        @event.listens_for(engine, "begin")
        def _begun(connection: Connection) -> None:
            self._watch.use(connection.connection.info[_LINE])
            connection.exec_driver_sql(idle)


def _driver(connection: DBAPIConnection) -> _Driver:
    """SQLAlchemy knows what every driver has, and a socket is not among it."""
    driver: _Driver = connection  # type: ignore[assignment]  # psycopg's, which has one
    return driver


def _complete(url: URL) -> URL:
    """The URL with the driver's name, our defaults, and the password where nobody shows it."""
    query: dict[str, str | tuple[str, ...]] = dict(_DEFAULTS)
    query |= {name: value for name, value in url.query.items() if name not in _HINTS_FOR_OTHERS}
    password = url.password or _single(query.pop("password", ""))
    if "[YOUR-PASSWORD]" in (password or ""):
        raise UserError("the database's URL still says [YOUR-PASSWORD]; write the database's password there")
    if not url.database and not query.get("dbname"):
        raise UserError(
            "the database's URL names no database; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    if "options" in query:
        raise UserError("the database's URL sets `options`, which poolers refuse; leave it out")
    return url.set(drivername="postgresql+psycopg", password=password or None, query=query)


def _single(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else value[-1]


def _shown(url: URL) -> str:
    """User, place and name: what tells databases apart, and no secret."""
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{user}{url.host or _single(url.query.get('host', ''))}{port}/{url.database or ''}"
