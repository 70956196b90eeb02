"""A door at the connection, through which errors of the database come at chosen places of a transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec
import psycopg
from sqlalchemy import Connection, Engine, event

Place = Literal["statement", "before COMMIT", "after COMMIT"]


class Fault(msgspec.Struct, frozen=True):
    """Where a transaction fails. `statement`: the one of that number, counted from the BEGIN, or the COMMIT
    where there are fewer. After the COMMIT it went through, and only the answer is lost."""

    place: Place
    number: int = 0


BEFORE, AFTER = Fault("before COMMIT"), Fault("after COMMIT")


def lost_connection(database: str) -> Exception:
    """An error of the driver as it comes when the disk or the server is away for a while."""
    if database == "postgresql":
        return psycopg.OperationalError("server closed the connection unexpectedly")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


class Door:
    """Each transaction that writes takes the next of the faults, until there is none."""

    def __init__(self) -> None:
        self._faults: deque[Fault | None] = deque()
        self._at_hand: Fault | None = None
        self._statements = 0
        self._known: set[int] = set()
        self._database = ""
        self.fired = 0
        """Faults that came through."""

    def put(self, faults: Iterable[Fault | None]) -> None:
        """What the next transactions meet, one each."""
        self._faults.extend(faults)

    def begin(self, connection: Connection) -> None:
        """A transaction begins."""
        if _writes():
            self._at_hand = self._faults.popleft() if self._faults else None
            self._statements = 0
        self._guard(connection)

    def _guard(self, connection: Connection) -> None:
        dialect = connection.engine.dialect
        if id(dialect) not in self._known:
            self._known.add(id(dialect))
            self._database = dialect.name
            for name in ("do_execute", "do_executemany"):
                setattr(dialect, name, self._statement(getattr(dialect, name)))
            setattr(dialect, "do_commit", self._commit(dialect.do_commit))  # noqa: B010

    def _statement(self, execute: Callable[..., None]) -> Callable[..., None]:
        def guarded(*arguments: object, **options: object) -> None:
            if _writes() and self._at_hand == Fault("statement", self._statements):
                self._fire()
            self._statements += _writes()
            execute(*arguments, **options)

        return guarded

    def _commit(self, commit: Callable[..., None]) -> Callable[..., None]:
        def guarded(connection: object) -> None:
            if self._at_hand is not None and self._at_hand.place != "after COMMIT":
                self._fire()
            commit(connection)
            if self._at_hand is not None:
                self._fire()

        return guarded

    def _fire(self) -> None:
        self._at_hand = None
        self.fired += 1
        raise lost_connection(self._database)


def _writes() -> bool:
    return threading.current_thread().name.startswith("nadg-store-writer")


@contextmanager
def open_door() -> Iterator[Door]:
    """All engines that begin a transaction from now on are guarded."""
    door = Door()
    event.listen(Engine, "begin", door.begin, insert=True)
    try:
        yield door
    finally:
        event.remove(Engine, "begin", door.begin)
