"""`nadg db prune`: what is old is forgotten, in the database and in the folder of blobs."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Collection

import msgspec

from nadg.bootstrap.home import Home
from nadg.domain.clock import SystemClock
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings
from nadg.store import open_store
from nadg.store.api import BlobIndex

RUNS_AT_ONCE = 100
"""Forgotten in one transaction, so that masters at work wait only for a moment."""
YOUNGEST_BLOB_SECONDS = 86_400.0
"""A blob that came within this time stays: a run that is just being submitted may be about to name it."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """How much was forgotten."""

    runs: int
    model_answers: int
    model_calls: int
    blobs: int
    blob_bytes: int


async def prune(settings: Settings, older_than: datetime.timedelta) -> Pruned:
    """Forget runs that ended longer ago than that, answers of models unused since, and blobs of no stored run.

    Blobs are those of this machine's folder. Raises UserError or StoreUnavailable as opening a store does.
    """
    home, clock = Home(settings), SystemClock()
    blobs = BlobFolder(home.blobs)
    async with open_store(home.database, clock) as store:
        before = clock.now() - older_than
        runs = 0
        while gone := await store.runs.prune(before, RUNS_AT_ONCE):
            runs += len(gone)
        answers, calls = await store.model_answers.prune(before), await store.model_calls.prune(before)
        kept = await store.referenced_blobs()
        count, size = await asyncio.to_thread(blobs.forget_older, YOUNGEST_BLOB_SECONDS, kept)
        await forget_rows(store.blobs, clock.now() - datetime.timedelta(seconds=YOUNGEST_BLOB_SECONDS), kept)
        return Pruned(runs=runs, model_answers=answers, model_calls=calls, blobs=count, blob_bytes=size)


async def forget_rows(index: BlobIndex, before: datetime.datetime, kept: Collection[str]) -> None:
    """Take blobs out of the index that nobody used since then; those that are kept are of use."""
    while old := [one.blob.sha256 for one in await index.unused_since(before)]:
        await index.forget(one for one in old if one not in kept)
        await index.touch(one for one in old if one in kept)
