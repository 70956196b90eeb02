"""The store in a database, opened and closed in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, func, select

from nadg.domain.clock import Clock
from nadg.store import dialect
from nadg.store.api import OnTrouble, StoreTrouble
from nadg.store.blobs import SqlBlobs
from nadg.store.database import Database
from nadg.store.model_answers import SqlModelAnswers
from nadg.store.model_calls import SqlModelCalls
from nadg.store.patience import Patience, Wait
from nadg.store.retention import all_runs, referenced_blobs
from nadg.store.runs import SqlRuns
from nadg.store.tables import blobs, runs, worker_nodes
from nadg.store.workers import SqlWorkers

BUSY_SECONDS = 10.0
"""How long to wait for another process that writes, each of a few times."""

PATIENT_BUSY_SECONDS = 5.0
"""How long at most where the whole operation is tried again."""

_RUNS = select(runs.c.state, func.count()).group_by(runs.c.state)
_WORKERS = select(worker_nodes.c.status, func.count()).group_by(worker_nodes.c.status)
_BLOBS = select(func.count(), func.coalesce(func.sum(blobs.c.size), 0)).select_from(blobs)


class SqlStore:
    """See `nadg.store.api.Store`. Belongs to the event loop it was opened in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self.runs = SqlRuns(database, clock)
        self.workers = SqlWorkers(database, clock)
        self.blobs = SqlBlobs(database, clock)
        self.model_calls = SqlModelCalls(database)
        self.model_answers = SqlModelAnswers(database, clock)

    @property
    def trouble(self) -> StoreTrouble | None:
        return self._database.trouble

    async def referenced_blobs(self) -> frozenset[str]:
        found: set[str] = set()
        for portion in await self._database.read(all_runs):
            found |= await self._database.read(partial(referenced_blobs, run_ids=portion))
        return frozenset(found)

    async def statistics(self) -> dict[str, int]:
        return await self._database.read(_count)


def _count(connection: Connection) -> dict[str, int]:
    counts = {f"runs_{state}": count for state, count in connection.execute(_RUNS)}
    counts.update({f"workers_{status}": count for status, count in connection.execute(_WORKERS)})
    number, size = connection.execute(_BLOBS).one()
    return counts | {"blobs": number, "blob_bytes": int(size)}


def _tell_nobody(trouble: StoreTrouble | None) -> None:
    del trouble


def create_store(
    url_or_path: str | Path,
    clock: Clock,
    *,
    busy_seconds: float = BUSY_SECONDS,
    patience_seconds: float | None = 0,
    on_trouble: OnTrouble = _tell_nobody,
    wait: Wait = asyncio.sleep,
    makes_tables: bool = True,
) -> SqlStore:
    """The store of the database at a path or a URL, for `opened`, which must follow; it knows its trouble already.

    While the database is in trouble that may pass, every operation is tried again for `patience_seconds`,
    None for ever; then StoreUnavailable is raised. Raises UserError for an address that means none.
    Without `makes_tables`, `opened` raises NoTables where there are none, and UserError where they are old.
    """
    patience = Patience(patience_seconds, clock, on_trouble, wait=wait)
    place, busy = dialect.locate(url_or_path), _busy_seconds(busy_seconds, patience_seconds)
    return SqlStore(Database(place, busy, patience, makes_tables=makes_tables), clock)


@asynccontextmanager
async def opened(store: SqlStore, opening_seconds: float | None = None) -> AsyncIterator[SqlStore]:
    """Open it for the length of a `with`, making or upgrading its tables; patience ends after `opening_seconds`.

    Raises UserError where the place cannot be written, the file is no database of NADG's, or a newer
    NADG made it. On leaving, what was handed over is written first.
    """
    try:
        await store._database.open(opening_seconds)
        try:
            yield store
        finally:
            await store.runs.drain()
    finally:
        await store._database.close()


@asynccontextmanager
async def open_store(
    url_or_path: str | Path,
    clock: Clock,
    *,
    busy_seconds: float = BUSY_SECONDS,
    patience_seconds: float | None = 0,
    opening_seconds: float | None = None,
    on_trouble: OnTrouble = _tell_nobody,
    wait: Wait = asyncio.sleep,
) -> AsyncIterator[SqlStore]:
    """`create_store` and `opened` in one."""
    store = create_store(
        url_or_path,
        clock,
        busy_seconds=busy_seconds,
        patience_seconds=patience_seconds,
        on_trouble=on_trouble,
        wait=wait,
    )
    async with opened(store, opening_seconds):
        yield store


def _busy_seconds(busy_seconds: float, patience_seconds: float | None) -> float:
    """How long one try waits for another process: whoever tries again can say soon that he waits."""
    return busy_seconds if patience_seconds == 0 else min(busy_seconds, PATIENT_BUSY_SECONDS)
