"""The store alone, for commands that look at runs or workers and start nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nadg.bootstrap.database import open_to_change, open_to_look
from nadg.bootstrap.home import Home
from nadg.bootstrap.orphans import end_orphan
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.run import RunRecord
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.export import run_document
from nadg.settings import Settings
from nadg.store.api import Runs, Store, Workers


class StoreOnly:
    """The runs and workers of a store, and what their records say."""

    def __init__(self, store: Store, blobs: BlobFolder, clock: Clock) -> None:
        self.runs: Runs = store.runs
        self.workers: Workers = store.workers
        self._blobs, self._clock = blobs, clock

    async def end_orphan(self, run_id: str, reason: str) -> bool:
        """Cancel a run whose master is gone; False where one carries it out, or where it has ended."""
        return await end_orphan(self.runs, run_id, reason, self._clock)

    def run_document(self, record: RunRecord) -> dict[str, Any]:
        """The content of `run.json`."""
        return run_document(record, self._blobs)

    async def answer_text(self, record: RunRecord) -> str:
        """The answer as Markdown."""
        return await asyncio.to_thread(compose_answer, record, self._blobs)


@asynccontextmanager
async def open_store_only(settings: Settings, *, adds: bool = False) -> AsyncIterator[StoreOnly]:
    """The store of the configured home, for the length of a `with`.

    Only who `adds` something finds its tables made where there are none.
    """
    home, clock = Home(settings), SystemClock()
    opening = open_to_change if adds else open_to_look
    async with opening(home.database, clock) as store:
        yield StoreOnly(store, BlobFolder(home.blobs), clock)
