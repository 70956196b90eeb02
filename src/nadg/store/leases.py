"""Leases: who may write to a run. The term grows each time a run changes hands; every write carries it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost, NotFound
from nadg.domain.run import Lease
from nadg.domain.states import RunState, is_final
from nadg.store import dialect
from nadg.store.guards import Row
from nadg.store.tables import runs

_HELD = (
    runs.c.id == bindparam("b_run"),
    runs.c.lease_owner == bindparam("b_owner"),
    runs.c.lease_term == bindparam("b_term"),
)
_ADVANCE = update(runs).where(*_HELD).values(last_event_seq=bindparam("b_seq"))
_EXTEND = update(runs).where(*_HELD).values(lease_expires_at=bindparam("b_expires"))
_GIVE_BACK = update(runs).where(*_HELD).values(lease_owner=None, lease_expires_at=None)
_LOCK_MANY = (
    select(runs.c.id, runs.c.lease_owner, runs.c.lease_term, runs.c.last_event_seq, runs.c.state)
    .where(runs.c.id.in_(bindparam("b_runs", expanding=True)))
    .order_by(runs.c.id)
    .with_for_update()
)
_LOCK_ONE = (
    select(runs.c.state, runs.c.lease_owner, runs.c.lease_term, runs.c.lease_expires_at)
    .where(runs.c.id == bindparam("b_run"))
    .with_for_update()
)
_TAKE_OVER = (
    update(runs)
    .where(runs.c.id == bindparam("b_run"), runs.c.lease_term == bindparam("b_term"))
    .values(
        lease_owner=bindparam("b_owner"),
        lease_term=bindparam("b_next_term"),
        lease_expires_at=bindparam("b_expires"),
    )
)


class Fence:
    """Lets commits of lease holders through, in order, and numbers their events. Holds the runs' rows locked."""

    def __init__(self, connection: Connection, run_ids: Iterable[str]) -> None:
        found = connection.execute(_LOCK_MANY, {"b_runs": sorted(set(run_ids))}).mappings()
        self._runs: dict[str, RowMapping] = {row["id"]: row for row in found}
        self._last = {run_id: int(row["last_event_seq"]) for run_id, row in self._runs.items()}
        self._passed: dict[str, Lease] = {}
        self._ended: set[str] = set()

    def check(self, lease: Lease) -> None:
        """Raises LeaseLost where the lease is not the run's."""
        row = self._runs.get(lease.run_id)
        if row is None:
            raise LeaseLost(f"run {lease.run_id} is gone")
        if lease.run_id in self._ended or is_final(RunState(row["state"])):
            raise LeaseLost(f"run {lease.run_id} has ended")
        if (row["lease_owner"], row["lease_term"]) != (lease.owner, lease.term):
            raise LeaseLost(
                f"run {lease.run_id} is held by {row['lease_owner'] or 'nobody'} in term {row['lease_term']}, "
                f"not by {lease.owner} in term {lease.term}"
            )

    def admit(self, lease: Lease, events: Sequence[Row], ends_run: bool) -> int:
        """Number the events of a lease that was checked; gives the last number."""
        last = self._last[lease.run_id]
        for event in events:
            last += 1
            event["seq"] = last
        self._last[lease.run_id] = last
        self._passed[lease.run_id] = lease
        if ends_run:
            self._ended.add(lease.run_id)
        return last

    def close(self, connection: Connection) -> None:
        """Write how far each event log has come: the fence itself, once more by owner and term."""
        rows = [_held(lease) | {"b_seq": self._last[run_id]} for run_id, lease in self._passed.items()]
        if dialect.execute_many(connection, _ADVANCE, rows) != len(rows):
            raise LeaseLost("a run changed hands while it was written to")


def lease_times(
    connection: Connection, clock: Clock, lease_seconds: float
) -> tuple[datetime.datetime, datetime.datetime]:
    """Now, by the time that counts for leases, and the moment a lease that is taken now runs out."""
    now = dialect.of(connection).now(connection, clock)
    return now, now + datetime.timedelta(seconds=lease_seconds)


def claim_run(connection: Connection, run_id: str, owner: str, clock: Clock, lease_seconds: float) -> Lease | None:
    """A run without a living lease gets a new owner and the next term; who holds it keeps it for longer.

    So a claim may be repeated whose answer was lost on the way.
    """
    row = connection.execute(_LOCK_ONE, {"b_run": run_id}).one_or_none()
    if row is None:
        raise NotFound(f"no run {run_id}; see `nadg runs list`")
    if is_final(RunState(row.state)):
        return None
    now, expires = lease_times(connection, clock, lease_seconds)
    if row.lease_expires_at is not None and row.lease_expires_at > now:
        return _kept(connection, Lease(run_id=run_id, owner=owner, term=row.lease_term), row.lease_owner, expires)
    lease = Lease(run_id=run_id, owner=owner, term=row.lease_term + 1)
    taken = connection.execute(
        _TAKE_OVER,
        {
            "b_run": run_id,
            "b_term": row.lease_term,
            "b_owner": owner,
            "b_next_term": lease.term,
            "b_expires": expires,
        },
    )
    return lease if taken.rowcount == 1 else None


def _kept(connection: Connection, lease: Lease, holder: str, expires: datetime.datetime) -> Lease | None:
    """The lease of who holds the run already; None for anyone else."""
    if holder != lease.owner:
        return None
    connection.execute(_EXTEND, _held(lease) | {"b_expires": expires})
    return lease


def extend_leases(
    connection: Connection, asked: Sequence[tuple[Lease, float]], clock: Clock
) -> list[LeaseLost | None]:
    """Holders stay holders for so many seconds from now; says of each whether it holds its run no longer."""
    fence = Fence(connection, (lease.run_id for lease, _ in asked))
    now = dialect.of(connection).now(connection, clock)
    lost: list[LeaseLost | None] = []
    rows: list[Row] = []
    for lease, seconds in asked:
        try:
            fence.check(lease)
        except LeaseLost as error:
            lost.append(error)
        else:
            lost.append(None)
            rows.append(_held(lease) | {"b_expires": now + datetime.timedelta(seconds=seconds)})
    dialect.execute_many(connection, _EXTEND, rows)
    return lost


def give_back_lease(connection: Connection, lease: Lease) -> None:
    """The holder lets go; without effect for anyone else."""
    connection.execute(_GIVE_BACK, _held(lease))


def _held(lease: Lease) -> Row:
    return {"b_run": lease.run_id, "b_owner": lease.owner, "b_term": lease.term}
