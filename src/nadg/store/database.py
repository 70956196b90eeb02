"""One database: a thread of its own that writes, a few that read, and an async door to both.

Only one connection of a process ever writes, so writes never wait for each other's locks; a whole
transaction is one hop to the writing thread and back.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection, RootTransaction
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from nadg.domain.errors import NadgError, StoreUnavailable, UserError
from nadg.store.api import StoreTrouble
from nadg.store.dialect import Dialect
from nadg.store.patience import Passing, Patience
from nadg.store.schema import fits, require, upgrade

READERS = 2
"""Threads that read at the same time."""

T = TypeVar("T")


class Database:
    """Runs functions of a connection, each in one transaction, again and again while the database is in trouble.

    An operation must therefore be safe to repeat, also where its transaction went through and only the answer
    was lost. Raises StoreUnavailable where patience ends, or where the failure is none that passes.
    """

    def __init__(
        self, dialect: Dialect, busy_seconds: float, patience: Patience, *, makes_tables: bool = True
    ) -> None:
        self._makes_tables = makes_tables
        self._dialect, self._patience = dialect, patience
        self._begin_tries = dialect.begin_tries if patience.is_none else 1
        self._writer = dialect.open_writer(busy_seconds)
        self._reader = dialect.open_reader(busy_seconds, READERS)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="nadg-store-writer")
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="nadg-store-reader")
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    @property
    def trouble(self) -> StoreTrouble | None:
        return self._patience.trouble

    async def open(self, at_most: float | None = None) -> None:
        """Connect, and bring the tables to this version. Raises UserError on a file that cannot be used.

        Who makes no tables gets NoTables where there are none, and UserError where they are old. Patience ends
        here after `at_most` seconds.
        """
        await self._patience.last("write", functools.partial(self._in, self._writing, self._open), at_most)

    async def close(self) -> None:
        """Wait for what is under way, then let go of the file."""
        await self._in(self._writing, self._close)
        self._writing.shutdown()
        self._reading.shutdown()
        self._reader.dispose()
        self._dialect.close()

    async def write(self, operation: Callable[[Connection], T]) -> T:
        """Run it in the writing thread; it is committed when this returns, undone when this raises.

        Operations run in the order in which they came. While one is tried again the others wait behind it.
        """
        async with self._turn:
            call = functools.partial(self._write, operation)
            return await self._patience.last("write", functools.partial(self._in, self._writing, call))

    async def read(self, operation: Callable[[Connection], T]) -> T:
        """Run it in a reading thread, as of one moment."""
        call = functools.partial(self._read, operation)
        return await self._patience.last("read", functools.partial(self._in, self._reading, call))

    def _in(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(threads, self._bounded, call)

    def _bounded(self, call: Callable[[], T]) -> T:
        with self._dialect.bounded():
            return call()

    def _open(self) -> None:
        try:
            self._dialect.create_place()
            connection = self._connected()
            with self._begin(connection):
                fit = fits(connection)
                if not self._makes_tables:
                    require(connection)
            if not fit:
                with self._begin(connection):
                    upgrade(connection)
        except (DBAPIError, sqlite3.Error) as error:
            self._disconnect()
            explained = self._dialect.explain_open(error)
            raise explained if isinstance(explained, UserError) else self._failure(error, explained) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._writer.dispose()

    def _write(self, operation: Callable[[Connection], T]) -> T:
        self._check_place()
        try:
            connection = self._connected()
            with self._begin(connection):
                return operation(connection)
        except DBAPIError as error:
            cause = self._cause(error)
            failure = self._failure(cause, self._dialect.explain(cause))
            if isinstance(failure, Passing):
                self._disconnect()
            raise failure from error

    def _read(self, operation: Callable[[Connection], T]) -> T:
        self._check_place()
        try:
            with self._reader.connect() as connection:
                return operation(connection)
        except DBAPIError as error:
            raise self._failure(error, self._dialect.explain(error)) from error

    def _check_place(self) -> None:
        """Raises Passing where the database is not where it was opened: what is open still has everything."""
        if reason := self._dialect.displaced():
            raise Passing(reason, StoreUnavailable(f"database {self._dialect.name}: {reason}"))

    def _connected(self) -> Connection:
        """The writing connection, opened anew where the last one was thrown away."""
        if self._connection is None:
            self._connection = self._writer.connect()
        return self._connection

    def _disconnect(self) -> None:
        """Throw the writing connection away: after trouble, nobody knows what it still is good for."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError, InvalidRequestError):
                connection.invalidate()
            connection.close()

    def _cause(self, error: DBAPIError) -> DBAPIError:
        """The trouble an error came of: a full disk ends the transaction, and its savepoint is missed next."""
        at: BaseException | None = error
        while at is not None:
            if isinstance(at, DBAPIError) and self._dialect.is_passing(at):
                return at
            at = at.__context__
        return error

    def _failure(self, error: Exception, explained: NadgError) -> Exception:
        """What to raise for an error of the database: Passing where it is worth while to try again.

        In use, even what is said to be wrong with the address or with rights passes: both were right when the
        database was opened, and a project that is paused is said not to exist.
        """
        if isinstance(explained, UserError) or self._dialect.is_passing(error):
            return Passing(self._dialect.passing_reason(error), explained)
        return explained

    def _begin(self, connection: Connection) -> RootTransaction:
        """Begin to write; another process that holds the database is waited for, a bounded number of times."""
        for left in reversed(range(self._begin_tries)):
            try:
                return connection.begin()
            except DBAPIError as error:
                if not (left and self._dialect.is_locked(error)):
                    raise
        raise AssertionError("unreachable")
