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
from typing import TypeVar

from sqlalchemy import URL, Connection, RootTransaction
from sqlalchemy.exc import DBAPIError

from nadg.store import dialect
from nadg.store.schema import upgrade

READERS = 2
"""Threads that read at the same time."""

T = TypeVar("T")


class Database:
    """Runs functions of a connection, each in one transaction. Raises StoreUnavailable where that fails."""

    def __init__(self, url: URL, busy_seconds: float) -> None:
        self._url = url
        self._writer = dialect.open_writer(url, busy_seconds)
        self._reader = dialect.open_reader(url, busy_seconds, READERS)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="nadg-store-writer")
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="nadg-store-reader")
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect, and bring the tables to this version. Raises UserError on a file that cannot be used."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._open)

    async def close(self) -> None:
        """Wait for what is under way, then let go of the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writing, self._close)
        self._writing.shutdown()
        self._reading.shutdown()
        self._reader.dispose()

    async def write(self, operation: Callable[[Connection], T]) -> T:
        """Run it in the writing thread; it is committed when this returns, undone when this raises."""
        return await self.write_soon(operation)

    def write_soon(self, operation: Callable[[Connection], T]) -> asyncio.Future[T]:
        """As `write`, handed over at once; operations run in the order they were handed over."""
        call = functools.partial(self._write, operation)
        return asyncio.get_running_loop().run_in_executor(self._writing, call)

    async def read(self, operation: Callable[[Connection], T]) -> T:
        """Run it in a reading thread, as of one moment."""
        call = functools.partial(self._read, operation)
        return await asyncio.get_running_loop().run_in_executor(self._reading, call)

    def _open(self) -> None:
        try:
            dialect.create_place(self._url)
            self._connection = self._writer.connect()
            with _begin(self._connection):
                upgrade(self._connection, self._url.database or "")
        except (DBAPIError, sqlite3.Error) as error:
            raise dialect.explain_open(self._url, error) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._writer.dispose()

    def _write(self, operation: Callable[[Connection], T]) -> T:
        assert self._connection is not None, "the store is not open"
        try:
            with _begin(self._connection):
                return operation(self._connection)
        except DBAPIError as error:
            raise dialect.explain(self._url, error) from error

    def _read(self, operation: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as connection:
                return operation(connection)
        except DBAPIError as error:
            raise dialect.explain(self._url, error) from error


def _begin(connection: Connection) -> RootTransaction:
    """Begin to write; another process that holds the database is waited for, a bounded number of times."""
    for left in reversed(range(dialect.BEGIN_TRIES)):
        try:
            return connection.begin()
        except DBAPIError as error:
            if not (left and dialect.is_locked(error)):
                raise
    raise AssertionError("unreachable")
