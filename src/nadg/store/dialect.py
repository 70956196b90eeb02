"""What databases differ in: where they lie, how they are opened, their time, their batches, their errors.

`locate` chooses one by its address; whoever has a connection finds it again by `of`. A database's own module
is loaded only where it is used, and its driver only when it is opened.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, Table, UpdateBase, make_url
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import ArgumentError

from nadg.domain.clock import Clock
from nadg.domain.errors import NadgError, UserError
from nadg.store.guards import Row

OPTION = "nadg_dialect"
"""Under this name every engine's connections carry their dialect."""

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg", "postgres+psycopg")
_EXAMPLES = "write sqlite:////folder/file.db or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


class Dialect(Protocol):
    """One database at one place."""

    @property
    def url(self) -> URL: ...

    @property
    def name(self) -> str:
        """What people are told of it; never a password."""
        ...

    @property
    def another(self) -> str:
        """What to name instead of it: another file, another database."""
        ...

    @property
    def schema(self) -> str | None:
        """The schema that holds the tables; None where the database has none."""
        ...

    @property
    def begin_tries(self) -> int:
        """How often a write waits its whole time for other processes before it gives up."""
        ...

    def create_place(self) -> None:
        """Make what can be made before the database is opened. Raises UserError."""
        ...

    def displaced(self) -> str:
        """Why what was opened is not the database of this name any more, such as a file that was removed.

        For people; empty where all is well, or where a server sees to it. Cheap: it is asked before each use.
        """
        ...

    def open_writer(self, busy_seconds: float) -> Engine:
        """For the one connection that writes."""
        ...

    def open_reader(self, busy_seconds: float, connections: int) -> Engine:
        """For connections that cannot write, made when needed; each transaction sees one moment."""
        ...

    def close(self) -> None:
        """Let go of what was begun, when both engines are closed."""
        ...

    def bounded(self) -> AbstractContextManager[None]:
        """What this thread does with the database inside ends in a bounded time, with an error at the worst."""
        ...

    def execute_many(self, connection: Connection, statement: UpdateBase, rows: Sequence[Row]) -> int:
        """See `nadg.store.dialect.execute_many`."""
        ...

    def now(self, connection: Connection, clock: Clock) -> datetime.datetime:
        """The time that counts for leases: that of the database where machines share it, else the clock's."""
        ...

    def table_names(self, connection: Connection) -> frozenset[str]:
        """The tables and views there are, where ours would be."""
        ...

    def begin_upgrade(self, connection: Connection) -> None:
        """Keep others from upgrading until the transaction ends, and make the place for tables."""
        ...

    def protect(self, connection: Connection) -> None:
        """Give the tables' rights to whom they belong, and to nobody else; may be done again."""
        ...

    def is_locked(self, error: Exception) -> bool:
        """Whether another process held the database for as long as we were ready to wait."""
        ...

    def is_passing(self, error: BaseException) -> bool:
        """Whether an error will pass by itself, so that the same may be tried again later.

        Takes what SQLAlchemy or the driver raised, or a StoreUnavailable made of that.
        """
        ...

    def passing_reason(self, error: BaseException) -> str:
        """Why a database does not answer, of an error that `is_passing`: for people, without secrets."""
        ...

    def explain(self, error: Exception) -> NadgError:
        """The error of a database that failed while in use; called where it was caught, within `bounded`."""
        ...

    def explain_open(self, error: Exception) -> NadgError:
        """The error of a database that could not be opened."""
        ...


def locate(url_or_path: str | Path) -> Dialect:
    """The database meant by a path, `sqlite:////path/file.db` or `postgresql://…`. Raises UserError.

    What is said of an address never shows it: it may hold a password.
    """
    from nadg.store.dialects.sqlite import Sqlite  # here: each database knows this module

    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return Sqlite(URL.create("sqlite", database=str(Path(url_or_path).absolute())))
    kind = url_or_path.partition("://")[0].strip().lower()
    if kind in _SQLITE:
        return Sqlite(_parsed(url_or_path))
    if kind in _POSTGRESQL:
        from nadg.store.dialects.postgresql import PostgreSQL  # here: only where it is used

        return PostgreSQL(_parsed(url_or_path))
    if kind in ("https", "http"):
        raise UserError(
            "a database is not reached by a web address; for Supabase, copy the URI of the session pooler from "
            "the dashboard's page Connect: postgresql://postgres.PROJECT:PASSWORD@….pooler.supabase.com:5432/postgres"
        )
    shown = f" {kind}://" if kind.replace("+", "").isalnum() else ""  # else it may hold more than a kind
    raise UserError(f"the database{shown} is not supported; {_EXAMPLES}")


def of(connection: Connection) -> Dialect:
    """The dialect of whoever opened the connection."""
    dialect: Dialect = connection.get_execution_options()[OPTION]
    return dialect


def insert_into(table: Table) -> Insert:
    """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`; all databases write it alike.

    It tells how many rows it made, as SQLAlchemy does for no INSERT unless asked.
    """
    return insert(table).execution_options(preserve_rowcount=True)


def execute_many(connection: Connection, statement: UpdateBase, rows: Sequence[Row]) -> int:
    """Carry a statement out for all rows, which have the same keys; gives how many rows of the table it met.

    Rows that meet the same row of the table do so in their order. As `Connection.execute` otherwise, but fast.
    """
    return of(connection).execute_many(connection, statement, rows) if rows else 0


def _parsed(text: str) -> URL:
    unreadable = (
        f"the database's URL cannot be read; {_EXAMPLES}, and in a password write @ as %40, : as %3A, / as %2F"
    )
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        raise UserError(unreadable) from None  # what it was made of may hold the password
    if "@" in (url.host or ""):
        raise UserError(unreadable)
    return url
