"""Runs whose master is gone are found and carried on here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from nadg.bootstrap.submitted import MasterRooms
from nadg.domain.errors import NotFound, StoreUnavailable
from nadg.domain.run import Lease, RunRecord
from nadg.domain.states import AttemptState

LOOK_SECONDS = 1.0
"""How often the store is asked for runs that nobody holds."""
AT_ONCE = 20
"""So many are taken from the store at a look."""


class Adopter:
    """Looks for such runs, claims those that this master can go on with, and hands them out.

    `take` is given a run under a fresh lease, once each.
    """

    def __init__(self, rooms: MasterRooms, take: Callable[[RunRecord, Lease], None]) -> None:
        self._rooms, self._take = rooms, take
        self._left: set[str] = set()
        """Runs that this master cannot go on with."""

    async def adopt_forever(self) -> None:
        """Every second; a database that fails is asked again."""
        while True:
            try:
                await self._look()
            except StoreUnavailable as error:  # one that is in trouble for long is waited for by the store itself
                structlog.get_logger().warning("cannot look for runs without a master", reason=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        for run_id in await self._rooms.store.runs.unowned(AT_ONCE + len(self._left)):
            if run_id not in self._left and run_id not in self._rooms.carrier.carried:
                await self._adopt(run_id)

    async def _adopt(self, run_id: str) -> None:
        runs, carrier = self._rooms.store.runs, self._rooms.carrier
        try:
            record = await runs.get(run_id)
        except NotFound:
            return
        missing = await asyncio.to_thread(self._missing, record)
        if missing:
            self._left.add(run_id)
            structlog.get_logger().warning(
                "a run that no master carries out is left: this one lacks its files; share them by NADG_BLOBS",
                run=run_id,
                missing=missing,
            )
            return
        lease = await runs.claim(run_id, carrier.owner, self._rooms.settings.lease_seconds)
        if lease is not None:
            self._take(record, lease)

    def leave(self, run_id: str) -> None:
        """This master could not go on with it: it is left to others."""
        self._left.add(run_id)

    def _missing(self, record: RunRecord) -> int:
        """How many of the files that the rest of the run may need are not here."""
        return sum(not self._rooms.blobs.has(sha256) for sha256 in needed_blobs(record))


def needed_blobs(record: RunRecord) -> frozenset[str]:
    """Inputs, and what was made already: results too large for a row, and artifacts."""
    found = {file.blob.sha256 for file in record.inputs}
    for subtask in record.subtasks:
        values, files = [subtask.result], list(subtask.artifacts)
        for shard in subtask.shards:
            outcomes = [one.outcome for one in shard.attempts if one.state is AttemptState.SUCCEEDED]
            values += [one.result for one in outcomes if one is not None]
            files += [file for one in outcomes if one is not None for file in one.artifacts]
        found |= {value.blob.sha256 for value in values if value is not None and value.blob is not None}
        found |= {file.blob.sha256 for file in files}
    return frozenset(found)
