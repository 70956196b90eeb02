"""SQLite: where the file lies, how it is opened, how a write begins, what its errors mean."""

from __future__ import annotations

import datetime
import functools
import operator
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, NullPool, UpdateBase, create_engine, event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler

from nadg.domain.clock import Clock
from nadg.domain.errors import NadgError, StoreUnavailable, UserError
from nadg.store.dialect import OPTION
from nadg.store.dialects.causes import driver_error
from nadg.store.guards import Row
from nadg.store.types import UtcDateTime

_DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")
_OPEN_PAUSE_SECONDS = 0.02
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
_LOG_INDEX_BYTES = 32_768
"""SQLite makes the index of its log so large at once."""
_DISPLACED = "its file was removed or replaced; put it back and all goes on, or start again with what is there"
_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"


class Sqlite:
    """See `nadg.store.dialect.Dialect`. Raises UserError where the URL names no file."""

    another = "another file"
    schema: str | None = None
    begin_tries = 3

    def __init__(self, url: URL) -> None:
        if not url.database or url.database == ":memory:":
            raise UserError("the database needs a file; write sqlite:////folder/file.db")
        self.url = url
        self.name = url.database
        self._file = None if self.name.startswith("file:") else Path(self.name).absolute()
        """None for a URI of SQLite's own, which only SQLite reads."""
        self._opened: tuple[int, int] | None = None
        """Which file that was when it was opened."""

    def create_place(self) -> None:
        """Make the folder that the database file goes into, and a file for its owner alone. Raises UserError."""
        folder, self._opened = Path(self.name).absolute().parent, None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"database folder {folder} cannot be made ({error.strerror}); choose another"
            ) from error
        if self._file is not None:
            _keep_private(self._file)

    def displaced(self) -> str:
        """SQLite would write on into a file without a name, where nobody ever finds it."""
        return _DISPLACED if self._opened not in (None, _identity(self._file)) else ""

    def open_writer(self, busy_seconds: float) -> Engine:
        """It begins by taking the write lock, so it never deadlocks."""
        engine = create_engine(self.url, poolclass=NullPool, execution_options={OPTION: self})

        @event.listens_for(engine, "connect")
        def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
            with _closed_on_error(connection):
                _own_transactions(connection)
                _pragmas(connection, f"busy_timeout={round(busy_seconds * 1000)}", "foreign_keys=ON")
                _use_write_ahead_log(connection, busy_seconds)
                _pragmas(connection, "synchronous=NORMAL")
            self._opened = self._opened or _identity(self._file)

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    def open_reader(self, busy_seconds: float, connections: int) -> Engine:
        options = {OPTION: self}
        engine = create_engine(self.url, pool_size=connections, max_overflow=0, execution_options=options)

        @event.listens_for(engine, "connect")
        def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
            with _closed_on_error(connection):
                _own_transactions(connection)
                _pragmas(connection, f"busy_timeout={round(busy_seconds * 1000)}", "query_only=ON")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

        return engine

    def close(self) -> None:
        """Nothing was begun."""

    def bounded(self) -> AbstractContextManager[None]:
        """SQLite bounds its waiting itself."""
        return nullcontext()

    def execute_many(self, connection: Connection, statement: UpdateBase, rows: Sequence[Row]) -> int:
        """Without what SQLAlchemy does anew for each row: a third of the time in all."""
        sql, names, times = _compiled(statement, tuple(rows[0]))
        take = operator.itemgetter(*names)
        values = [take(row) for row in rows]
        for place in times:
            values = [(*row[:place], _stored_time(row[place]), *row[place + 1 :]) for row in values]
        return connection.exec_driver_sql(sql, values).rowcount

    def now(self, connection: Connection, clock: Clock) -> datetime.datetime:
        """All who share the file share the machine and its clock."""
        return clock.now()

    def table_names(self, connection: Connection) -> frozenset[str]:
        """Much quicker than full reflection."""
        return frozenset(connection.exec_driver_sql(_TABLES).scalars())

    def begin_upgrade(self, connection: Connection) -> None:
        """The transaction holds the write lock already."""

    def protect(self, connection: Connection) -> None:
        """The file's rights do it."""

    def is_locked(self, error: Exception) -> bool:
        cause = driver_error(error)
        return isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause)

    def is_passing(self, error: BaseException) -> bool:
        return _primary_code(error) in _PASSING

    def passing_reason(self, error: BaseException) -> str:
        return _FULL if self._is_full(error) else _PASSING[_primary_code(error)]

    def explain(self, error: Exception) -> NadgError:
        cause = _FULL if self._is_full(error) else driver_error(error)
        return StoreUnavailable(f"database {self.name}: {cause}; nothing of this write was kept")

    def explain_open(self, error: Exception) -> NadgError:
        cause, name = str(driver_error(error)), self.name
        if self._is_full(error):
            return StoreUnavailable(f"database {name} could not be opened: {_FULL}")
        if "not a database" in cause:
            return UserError(f"{name} is not a database; move it away or name another file")
        if "unable to open" in cause or "readonly" in cause:
            return UserError(
                f"database {name} cannot be opened for writing; check the folder's and the file's rights"
            )
        if "malformed" in cause:
            return UserError(f"database {name} is damaged ({cause}); restore it from a copy or name another file")
        return StoreUnavailable(f"database {name} could not be opened: {cause}")

    def _is_full(self, error: BaseException) -> bool:
        """SQLite says so only of the file itself: where its log finds no room, it speaks of input and output."""
        code = _primary_code(error)
        if code not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            return code == sqlite3.SQLITE_FULL
        try:
            disk = os.statvfs(Path(self.name).absolute().parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize < _LOG_INDEX_BYTES


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


def _identity(file: Path | None) -> tuple[int, int] | None:
    """Device and inode; None where no such file can be seen."""
    try:
        seen = None if file is None else file.stat()
    except OSError:
        return None
    return None if seen is None else (seen.st_dev, seen.st_ino)


def _primary_code(error: BaseException) -> int:
    return int(getattr(driver_error(error), "sqlite_errorcode", 0)) & 0xFF


@functools.cache
def _compiled(statement: UpdateBase, keys: tuple[str, ...]) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
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
