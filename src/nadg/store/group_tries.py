"""A group of commits that is tried until it is answered, and yet written once.

Where a COMMIT fails, nobody knows whether it went through. So what a try was about to leave behind is
remembered here, outside the transaction, and the next try looks for it in the event log first. Whoever finds
it there was the one who wrote it: only the holder of a term writes events of that term, one group at a time.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, bindparam, select

from nadg.store.group import Commit, Verdict, Written, commit_group
from nadg.store.guards import Row
from nadg.store.leases import Fence
from nadg.store.tables import events

Answer = tuple[asyncio.Future[int], Verdict]
"""Where a caller waits, and what he shall hear."""

_EVENT = select(events.c.term, events.c.payload).where(
    events.c.run_id == bindparam("b_run"), events.c.seq == bindparam("b_seq")
)


class Waiting(msgspec.Struct, frozen=True, eq=False):
    """A commit whose caller waits."""

    commit: Commit
    answer: asyncio.Future[int]

    def is_wanted(self) -> bool:
        """Whether the caller still waits. May be asked in any thread: it is one look at what never goes back."""
        return not self.answer.done()


class GroupTries:
    """All tries of one group. `write` runs in the writing thread, in a transaction of its own each time."""

    def __init__(self, group: Sequence[Waiting], now: datetime.datetime) -> None:
        self._group, self._now = group, now
        self._answers: Sequence[Answer] = ()
        self._last: Written | None = None

    def write(self, connection: Connection) -> Sequence[Answer]:
        """What every caller shall hear; those that went away meanwhile are dropped unwritten."""
        if self._last is not None and _went_through(connection, self._last.last_events):
            return self._answers
        self._last = None
        group = [one for one in self._group if one.is_wanted()]
        written = commit_group(connection, [one.commit for one in group], self._now)
        self._answers = [(one.answer, verdict) for one, verdict in zip(group, written.verdicts, strict=True)]
        self._last = written
        return self._answers


def _went_through(connection: Connection, last_events: Iterable[Row]) -> bool:
    """Whether the transaction that wrote these is in the database: with all of them, or it is not.

    One that is still under way on a connection that was lost holds the runs locked, and is waited for.
    """
    ours = {(str(one["run_id"]), one["seq"]): one for one in last_events}
    Fence(connection, (run_id for run_id, _ in ours))
    return any(_is_there(connection, event) for event in ours.values())


def _is_there(connection: Connection, event: Row) -> bool:
    """By number, term and content. A run that was deleted since then is gone with its events."""
    row = connection.execute(_EVENT, {"b_run": event["run_id"], "b_seq": event["seq"]}).one_or_none()
    return row is not None and row.term == event["term"] and bytes(row.payload) == event["payload"]
