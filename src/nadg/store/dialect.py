"""All that is special to SQLite: where the file lies, how it is opened, how a write begins, what its errors mean.

Another database gets a module with the same names.
"""

from __future__ import annotations

import datetime
import functools
import operator
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL, ClauseElement, Connection, Engine, NullPool, Table, create_engine, event, make_url
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler

from nadg.domain.errors import NadgError, StoreUnavailable, UserError
from nadg.store.guards import Row
from nadg.store.types import UtcDateTime

SCHEMA: str | None = None
"""The schema that holds the tables; SQLite has none."""

BEGIN_TRIES = 3
"""How often a write waits its whole time for other processes before it gives up."""

_HELD, _FULL = "another process holds the database file", "the disk with the database file is full"
_PASSING = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_PROTOCOL: _HELD,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: "the disk with the database file cannot be read or written",
    sqlite3.SQLITE_READONLY: "the database file cannot be written",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
}
"""What may pass without anyone changing what was asked, by SQLite's primary code."""

_DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")
_OPEN_PAUSE_SECONDS = 0.02
_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"


def locate(url_or_path: str | Path) -> URL:
    """The database meant by `sqlite:////path/file.db` or a path. Raises UserError."""
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(Path(url_or_path).absolute()))
    try:
        url = make_url(url_or_path)
    except ArgumentError as error:
        raise UserError("the database's URL cannot be read; write sqlite:////folder/file.db") from error
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise UserError(f"database {url.drivername}:// is not supported; write sqlite:////folder/file.db")
    if not url.database or url.database == ":memory:":
        raise UserError("the database needs a file; write sqlite:////folder/file.db")
    return url


def create_place(url: URL) -> None:
    """Make the folder that the database file goes into, and a file for its owner alone. Raises UserError."""
    folder = Path(url.database or "").absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"database folder {folder} cannot be made ({error.strerror}); choose another") from error
    if not (url.database or "").startswith("file:"):  # a URI of SQLite's own, which only SQLite reads
        _keep_private(Path(url.database or "").absolute())


def _keep_private(file: Path) -> None:
    """Plans and their code stand in it. SQLite gives the files of its log the rights of the database's.

    What fails here fails again when SQLite opens the file, and is explained then.
    """
    with suppress(
        OSError
    ):  # only one that is new: to close a file ends the locks SQLite has on it in this process
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for one in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        with suppress(OSError):
            if one.is_file() and one.stat().st_mode & 0o077:
                one.chmod(0o600)


def open_writer(url: URL, busy_seconds: float) -> Engine:
    """An engine for the one writing connection; it begins by taking the write lock, so it never deadlocks."""
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        with _closed_on_error(connection):
            _own_transactions(connection)
            _pragmas(connection, f"busy_timeout={round(busy_seconds * 1000)}", "foreign_keys=ON")
            _use_write_ahead_log(connection, busy_seconds)
            _pragmas(connection, "synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def open_reader(url: URL, busy_seconds: float, connections: int) -> Engine:
    """An engine whose connections cannot write; each transaction sees one moment."""
    engine = create_engine(url, pool_size=connections, max_overflow=0)

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        with _closed_on_error(connection):
            _own_transactions(connection)
            _pragmas(connection, f"busy_timeout={round(busy_seconds * 1000)}", "query_only=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def insert_into(table: Table) -> Insert:
    """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
    return insert(table)


def execute_many(connection: Connection, statement: ClauseElement, rows: Sequence[Row]) -> int:
    """Carry a statement out for all rows, which have the same keys; gives how many rows of the table it met.

    As `Connection.execute`, without what that does anew for each row: a third of the time in all.
    """
    if not rows:
        return 0
    sql, names, times = _compiled(statement, tuple(rows[0]))
    take = operator.itemgetter(*names)
    values = [take(row) for row in rows]
    for place in times:
        values = [(*row[:place], _stored_time(row[place]), *row[place + 1 :]) for row in values]
    return connection.exec_driver_sql(sql, values).rowcount


def table_names(connection: Connection) -> frozenset[str]:
    """The tables and views there are; much quicker than full reflection."""
    return frozenset(connection.exec_driver_sql(_TABLES).scalars())


def is_locked(error: DBAPIError) -> bool:
    """Whether another process held the database for as long as we were ready to wait."""
    return isinstance(error.orig, sqlite3.OperationalError) and "locked" in str(error.orig)


def is_passing(error: Exception) -> bool:
    """Whether the same may work later, by itself or once somebody made room."""
    return _primary_code(error) in _PASSING


def passing_reason(error: Exception) -> str:
    """Why a database does not answer, of an error that `is_passing`: for people, without secrets."""
    return _PASSING[_primary_code(error)]


def _primary_code(error: Exception) -> int:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return int(getattr(cause, "sqlite_errorcode", 0)) & 0xFF


def explain(url: URL, error: DBAPIError | sqlite3.Error) -> NadgError:
    """The error of a database that failed while in use."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return StoreUnavailable(f"database {url.database}: {cause}; nothing of this write was kept")


def explain_open(url: URL, error: DBAPIError | sqlite3.Error) -> NadgError:
    """The error of a database that could not be opened."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error)
    name = url.database
    if "not a database" in cause:
        return UserError(f"{name} is not a database; move it away or name another file")
    if "unable to open" in cause or "readonly" in cause:
        return UserError(f"database {name} cannot be opened for writing; check the folder's and the file's rights")
    if "malformed" in cause:
        return UserError(f"database {name} is damaged ({cause}); restore it from a copy or name another file")
    return StoreUnavailable(f"database {name} could not be opened: {cause}")


@functools.cache
def _compiled(statement: ClauseElement, keys: tuple[str, ...]) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    """The text, the names of its parameters in order, and the places of those that are times."""
    compiled = statement.compile(dialect=_DIALECT, column_keys=list(keys))
    assert isinstance(compiled, SQLCompiler)
    names = tuple(compiled.positiontup or ())
    assert set(names) <= set(keys), "every value of the statement stands in the rows"
    times = tuple(place for place, name in enumerate(names) if isinstance(compiled.binds[name].type, UtcDateTime))
    return str(compiled), names, times


@functools.lru_cache(maxsize=1000)
def _stored_time(value: datetime.datetime | None) -> str | None:
    """A time as the column type writes it."""
    write = UtcDateTime().dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return None if write is None or value is None else str(write(value))


@contextmanager
def _closed_on_error(connection: DBAPIConnection) -> Iterator[None]:
    """A connection that could not be prepared is closed at once; the pool would only forget it."""
    try:
        yield
    except sqlite3.Error:
        connection.close()
        raise


def _own_transactions(connection: DBAPIConnection) -> None:
    """Keep the driver from beginning transactions by itself."""
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None


def _pragmas(connection: DBAPIConnection, *settings: str) -> None:
    cursor = connection.cursor()
    for setting in settings:
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _use_write_ahead_log(connection: DBAPIConnection, busy_seconds: float) -> None:
    """Switch the file once; SQLite does not wait by itself where several processes switch at the same time."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            return _pragmas(connection, "journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_OPEN_PAUSE_SECONDS)
