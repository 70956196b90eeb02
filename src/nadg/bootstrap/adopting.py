"""Runs whose master is gone are found and carried on here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from nadg.bootstrap.models import Notice
from nadg.bootstrap.needed import needed_blobs
from nadg.domain.blob import Blobs
from nadg.domain.errors import NotFound, StoreUnavailable
from nadg.domain.run import Lease, RunRecord
from nadg.store.api import Runs

LOOK_SECONDS = 1.0
"""How often the store is asked for runs that nobody holds."""
AT_ONCE = 20
"""So many are taken from the store at a look."""

_log = logging.getLogger(__name__)


class Holder(Protocol):
    """Who carries runs out here."""

    owner: str

    @property
    def carried(self) -> frozenset[str]: ...


class Adopter:
    """Looks for such runs, claims those that this master can go on with, and hands them out.

    `take` is given each under a fresh lease; `lacks` says what a run needs that this master has not, and
    `notice` hears, once, of one that is left to others. While it is not `able`, such as without a worker, it
    leaves all to others, and tries again.
    """

    def __init__(
        self,
        runs: Runs,
        blobs: Blobs,
        holder: Holder,
        *,
        take: Callable[[RunRecord, Lease], None],
        notice: Notice,
        lease_seconds: float,
        lacks: Callable[[RunRecord], str] = lambda record: "",
        able: Callable[[], bool] = lambda: True,
    ) -> None:
        self._runs, self._blobs, self._holder = runs, blobs, holder
        self._take, self._notice, self._lease_seconds, self._lacks = take, notice, lease_seconds, lacks
        self._able = able
        self._left: set[str] = set()
        """Runs that this master cannot go on with."""

    async def adopt_forever(self) -> None:
        """Every second; a database that fails is asked again."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:  # one that is in trouble for long is waited for by the store itself
                _log.warning("cannot look for runs without a master: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Once. Raises StoreUnavailable."""
        if not self._able():
            return
        for run_id in await self._runs.unowned(AT_ONCE + len(self._left)):
            if run_id not in self._left and run_id not in self._holder.carried:
                await self._adopt_or_leave(run_id)

    async def _adopt_or_leave(self, run_id: str) -> None:
        """One run that cannot be read keeps nobody from the others. Raises StoreUnavailable."""
        try:
            await self._adopt(run_id)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - what one run is like must not end a master of others
            _log.exception("run %s cannot be adopted", run_id)
            self._leave_because(run_id, "it cannot be read here; the log says why")

    async def _adopt(self, run_id: str) -> None:
        try:
            record = await self._runs.get(run_id)
        except NotFound:
            return
        missing = await asyncio.to_thread(self._missing, record)
        if missing:
            more = f" and {len(missing) - 1:,} more of its files are" if missing[1:] else " is"
            way_out = "set NADG_BLOBS to a folder that all masters share"
            self._leave_because(run_id, f"{missing[0]}{more} not in this master's folder of files; {way_out}")
            return
        if lacking := self._lacks(record):
            self._leave_because(run_id, lacking)
            return
        lease = await self._runs.claim(run_id, self._holder.owner, self._lease_seconds)
        if lease is not None:
            self._take(record, lease)

    def _leave_because(self, run_id: str, reason: str) -> None:
        self.leave(run_id)
        self._notice(f"Run {run_id} has no master, and is left to others: {reason}.")

    def leave(self, run_id: str) -> None:
        """This master could not go on with it: it is left to others."""
        self._left.add(run_id)

    def _missing(self, record: RunRecord) -> list[str]:
        """Which of the files that the rest of the run may need are not here."""
        return [name for sha256, name in needed_blobs(record).items() if not self._blobs.has(sha256)]
