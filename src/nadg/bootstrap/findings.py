"""What a master writes of workers into the registry, so that several masters do not fight over a row. Pure.

- What a person set stands until a person changes it; a link only keeps the last ping fresh.
- A link that is up beats none: `offline` is written by a master whose own ping was the last one, or when the
  last ping has stood still for some seconds, which no master with a link lets happen.
- That all slots are taken stands some seconds against a master that has taken none of them.
- A quarantine stands against masters that merely have a link: until whoever found it ends it, until an attempt
  ended well there for another master, which knows better then, or until it is older than any can be.
"""

from __future__ import annotations

import datetime

from nadg.domain.worker import WorkerNode, WorkerNote, WorkerStatus
from nadg.engines.grid import WorkerView
from nadg.engines.health import MOST_SECONDS

STILL_SECONDS = 5.0
"""After so long without a ping no master has a link: each pings every two seconds."""

_STANDS_SECONDS = {WorkerStatus.QUARANTINED: MOST_SECONDS, WorkerStatus.BUSY: 10.0}
"""So long this stands against a master that merely has a link too."""


class Findings:
    """What this master wrote and read of each worker. Times are those of its own monotonic clock."""

    def __init__(self) -> None:
        self._pinged: dict[str, datetime.datetime] = {}
        self._pings: dict[str, tuple[datetime.datetime | None, float]] = {}
        self._own: dict[str, tuple[WorkerStatus, str]] = {}
        self._others: dict[str, tuple[tuple[WorkerStatus, str] | None, int, float]] = {}
        """What another master wrote, how many attempts had ended well here then, and when it was read first."""

    def noted(self, notes: list[WorkerNote], moment: datetime.datetime) -> None:
        """These were written; `moment` is their last ping now."""
        for note in notes:
            if (note.status, note.reason) != (note.was.status, note.was.reason):
                self._own[note.was.id] = (note.status, note.reason)
            if note.info is not None:
                self._pinged[note.was.id] = moment

    def linked(self, row: WorkerNode, view: WorkerView, now: float) -> WorkerNote | None:
        """What there is to write of a worker of this master's grid."""
        if view.state not in ("ready", "draining", "quarantined") or view.info is None:
            return self.silent(row, view.reason or f"it is {view.state}", now)
        status, reason = _found(view)
        if row.by_hand or self._stands(row, status, view.ended_well, now):
            status, reason = row.status, row.reason
        return WorkerNote(was=row, status=status, reason=reason, info=view.info)

    def silent(self, row: WorkerNode, reason: str, now: float) -> WorkerNote | None:
        """What there is to write of a worker that this master cannot reach."""
        if row.by_hand or not self.unheard(row, now) or (row.status, row.reason) == (WorkerStatus.OFFLINE, reason):
            return None
        return WorkerNote(was=row, status=WorkerStatus.OFFLINE, reason=reason)

    def unheard(self, row: WorkerNode, now: float) -> bool:
        """Whether no other master has a link to it."""
        if row.last_ping is None or row.last_ping == self._pinged.get(row.id):
            return True
        ping, since = self._pings.get(row.id, (None, now))
        if ping != row.last_ping:
            self._pings[row.id] = (row.last_ping, now)
            return False
        return now - since >= STILL_SECONDS

    def _stands(self, row: WorkerNode, found: WorkerStatus, ended_well: int, now: float) -> bool:
        """Whether what another master wrote is the better knowledge."""
        said = (row.status, row.reason)
        if row.status not in _STANDS_SECONDS or self._own.get(row.id) == said:
            self._others.pop(row.id, None)
            return False
        before, well_before, since = self._others.get(row.id, (None, 0, now))
        if before != said:
            self._others[row.id] = (said, ended_well, now)
            well_before, since = ended_well, now
        if row.status is WorkerStatus.BUSY and found is not WorkerStatus.ACTIVE:
            return False
        if row.status is WorkerStatus.QUARANTINED and ended_well > well_before:
            return found is WorkerStatus.QUARANTINED
        return now - since < _STANDS_SECONDS[row.status]


def _found(view: WorkerView) -> tuple[WorkerStatus, str]:
    assert view.info is not None
    if view.state == "quarantined":
        return WorkerStatus.QUARANTINED, view.reason
    if view.state == "draining":
        return WorkerStatus.DRAINING, view.reason
    return (WorkerStatus.BUSY if view.in_flight >= view.info.slots else WorkerStatus.ACTIVE), ""
