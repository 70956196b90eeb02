"""What is stored of runs and workers, asked of the store, or of the master that NADG_MASTER_URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from nadg.domain.master_api import CancelAnswer
from nadg.domain.run import RunRecord, RunSummary
from nadg.domain.worker import WorkerNode

if TYPE_CHECKING:
    from nadg.bootstrap.records import StoreOnly
    from nadg.client.master import MasterClient
    from nadg.settings import Settings

CANCELLED = "cancelled by the user"


class Records(Protocol):
    """Wherever they are, they read the same. A run's id may be cut short: NotFound, or UserError for several."""

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        """The latest ones, newest first."""
        ...

    async def run(self, prefix: str) -> RunRecord:
        """All that is stored of it."""
        ...

    async def document(self, prefix: str) -> dict[str, Any]:
        """The content of its `run.json`, and whether it is `orphaned`."""
        ...

    async def answer(self, record: RunRecord) -> str:
        """The answer as Markdown."""
        ...

    async def cancel(self, prefix: str) -> CancelAnswer:
        """Ask it to end; one that no master carries out is ended at once."""
        ...

    async def workers(self) -> Sequence[WorkerNode]:
        """The registry, oldest first."""
        ...


def open_records(settings: Settings) -> AbstractAsyncContextManager[Records]:
    """For the length of a `with`. Raises UserError, or StoreUnavailable where the database does not answer."""
    return _of_the_master(settings) if settings.master_url else _of_the_store(settings)


@asynccontextmanager
async def _of_the_store(settings: Settings) -> AsyncIterator[Records]:
    from nadg.bootstrap.records import open_store_only

    async with open_store_only(settings) as store:
        yield _StoreRecords(store)


@asynccontextmanager
async def _of_the_master(settings: Settings) -> AsyncIterator[Records]:
    """Who only looks does not wait for a master that is away."""
    from nadg.bootstrap.remote import token_of_master
    from nadg.client.connection import connected
    from nadg.client.master import MasterClient

    token = token_of_master(settings)
    async with connected(settings.master_url, token, None) as connection:
        yield _MasterRecords(MasterClient(connection))


class _StoreRecords:
    def __init__(self, store: StoreOnly) -> None:
        self._store = store

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        return await self._store.runs.list(limit)

    async def run(self, prefix: str) -> RunRecord:
        return await self._store.runs.get(await self._store.runs.find(prefix))

    async def document(self, prefix: str) -> dict[str, Any]:
        record = await self.run(prefix)
        return self._store.run_document(record) | {"orphaned": record.orphaned}

    async def answer(self, record: RunRecord) -> str:
        return await self._store.answer_text(record)

    async def cancel(self, prefix: str) -> CancelAnswer:
        run_id = await self._store.runs.find(prefix)
        asked = await self._store.runs.request_cancel(run_id, CANCELLED)
        ended = asked and await self._store.end_orphan(run_id, f"{CANCELLED}; its master was gone")
        return CancelAnswer(id=run_id, asked=asked, ended=ended)

    async def workers(self) -> Sequence[WorkerNode]:
        return await self._store.workers.list()


class _MasterRecords:
    def __init__(self, master: MasterClient) -> None:
        self._master = master

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        return await self._master.runs(limit)

    async def run(self, prefix: str) -> RunRecord:
        return await self._master.record(prefix)

    async def document(self, prefix: str) -> dict[str, Any]:
        return await self._master.document(prefix)

    async def answer(self, record: RunRecord) -> str:
        return await self._master.answer(record.id)

    async def cancel(self, prefix: str) -> CancelAnswer:
        return await self._master.cancel(prefix, CANCELLED)

    async def workers(self) -> Sequence[WorkerNode]:
        return await self._master.workers()
