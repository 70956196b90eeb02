"""Runs in the database: the async face of creating, leasing, changing, reading and deleting them."""

from __future__ import annotations

import builtins
import datetime
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from nadg.domain.changes import Change
from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost, UserError, no_run
from nadg.domain.run import Lease, NewRun, RunRecord, RunSummary
from nadg.domain.states import RunState, SubtaskState, is_final
from nadg.store import codec, dialect
from nadg.store.api import LEASE_SECONDS, ReusableOutcome, StoredEvent
from nadg.store.commit_queue import CommitQueue
from nadg.store.database import Database
from nadg.store.forget import Deletion, Pruning
from nadg.store.group import Commit
from nadg.store.leases import claim_run, give_back_lease, lease_times
from nadg.store.renewals import RenewalQueue
from nadg.store.reuse import read_reusable
from nadg.store.run_records import (
    find_run,
    read_cancel_reason,
    read_events,
    read_plan_events,
    read_run,
    read_summaries,
    read_unowned,
)
from nadg.store.tables import runs, subtasks

_ADD_SUBTASKS = insert(subtasks)
_FINAL = [str(state) for state in RunState if is_final(state)]
_REQUEST_CANCEL = (
    update(runs)
    .where(runs.c.id == bindparam("b_run"), runs.c.cancel_reason.is_(None), runs.c.state.not_in(_FINAL))
    .values(cancel_reason=bindparam("b_reason"))
)
_ADD = dialect.insert_into(runs).on_conflict_do_nothing(index_elements=[runs.c.id]).returning(runs.c.id)
_MADE = select(runs.c.command, runs.c.lease_owner, runs.c.lease_term).where(runs.c.id == bindparam("b_run"))
_STANDING = select(runs.c.state).where(runs.c.id == bindparam("b_run")).with_for_update()


class SqlRuns:
    """See `nadg.store.api.Runs`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._commits = CommitQueue(database, clock)
        self._renewals = RenewalQueue(database, clock)

    async def create(self, new: NewRun, owner: str, lease_seconds: float = LEASE_SECONDS) -> Lease:
        lease = Lease(run_id=new.id, owner=owner, term=1)
        await self._database.write(
            lambda connection: _insert_run(connection, new, lease, self._clock, lease_seconds)
        )
        return lease

    async def get(self, run_id: str) -> RunRecord:
        return await self._database.read(lambda connection: read_run(connection, run_id, self._clock))

    async def list(self, limit: int = 50, states: Iterable[RunState] | None = None) -> builtins.list[RunSummary]:
        return await self._database.read(lambda connection: read_summaries(connection, limit, states, self._clock))

    async def find(self, prefix: str) -> str:
        return await self._database.read(lambda connection: find_run(connection, prefix))

    async def request_cancel(self, run_id: str, reason: str) -> bool:
        return await self._database.write(lambda connection: _request_cancel(connection, run_id, reason))

    async def cancel_requested(self, run_id: str) -> str | None:
        return await self._database.read(lambda connection: read_cancel_reason(connection, run_id))

    async def claim(self, run_id: str, owner: str, lease_seconds: float = LEASE_SECONDS) -> Lease | None:
        return await self._database.write(
            lambda connection: claim_run(connection, run_id, owner, self._clock, lease_seconds)
        )

    async def renew(self, lease: Lease, lease_seconds: float = LEASE_SECONDS) -> None:
        await self._renewals.renew(lease, lease_seconds)

    async def release(self, lease: Lease) -> None:
        await self._database.write(lambda connection: give_back_lease(connection, lease))

    async def commit(self, lease: Lease, changes: Sequence[Change]) -> int:
        return await self._commits.commit(Commit(lease, tuple(changes)))

    async def events_after(self, run_id: str, seq: int, limit: int = 1000) -> builtins.list[StoredEvent]:
        return await self._database.read(lambda connection: read_events(connection, run_id, seq, limit))

    async def delete(self, run_id: str) -> None:
        await self._database.write(Deletion(run_id, self._clock).carry_out)

    async def unowned(self, limit: int = 20) -> builtins.list[str]:
        return await self._database.read(lambda connection: read_unowned(connection, limit, self._clock))

    async def plan_events(self, run_id: str) -> builtins.list[StoredEvent]:
        return await self._database.read(lambda connection: read_plan_events(connection, run_id))

    async def reusable(self, keys: Iterable[str], environments: Collection[str]) -> dict[str, ReusableOutcome]:
        wanted = sorted(set(keys))
        return await self._database.read(lambda connection: read_reusable(connection, wanted, environments))

    async def prune(self, ended_before: datetime.datetime, limit: int = 100) -> builtins.list[str]:
        return await self._database.write(Pruning(ended_before, limit).carry_out)

    async def drain(self) -> None:
        """Return when every commit and renewal so far is answered."""
        await self._commits.drain()
        await self._renewals.drain()


def _insert_run(connection: Connection, new: NewRun, lease: Lease, clock: Clock, lease_seconds: float) -> None:
    """A planned run under its first lease, and its subtasks, waiting."""
    _, expires = lease_times(connection, clock, lease_seconds)
    run = {
        "id": new.id,
        "command": new.command,
        "planner": new.planner,
        "state": str(RunState.PLANNED),
        "plan": codec.encode_plan(new.plan),
        "inputs": codec.encode(new.inputs),
        "options": codec.encode(new.options),
        "planning": new.planning,
        "parent": new.parent,
        "created_at": clock.now(),
        "lease_owner": lease.owner,
        "lease_term": lease.term,
        "lease_expires_at": expires,
    }
    state = str(SubtaskState.WAITING)
    parts = [
        {"run_id": new.id, "id": one.id, "position": position, "title": one.name, "state": state}
        for position, one in enumerate(new.plan.subtasks)
    ]
    if connection.execute(_ADD, run).first():
        dialect.execute_many(connection, _ADD_SUBTASKS, parts)
    else:
        _require_ours(connection, new, lease)


def _require_ours(connection: Connection, new: NewRun, lease: Lease) -> None:
    """The run is there already: that is right where we made it, and were not told. Raises UserError."""
    row = connection.execute(_MADE, {"b_run": new.id}).one()
    if row.command == new.command and (row.lease_owner, row.lease_term) == (lease.owner, lease.term):
        return
    if row.command == new.command and row.lease_term > lease.term:
        raise LeaseLost(f"run {new.id} was taken over by {row.lease_owner or 'somebody'} since it was made")
    raise UserError(f"there is a run {new.id} already; a new run needs a new id")


def _request_cancel(connection: Connection, run_id: str, reason: str) -> bool:
    """A living run is marked once; its owner looks for the mark."""
    if connection.execute(_REQUEST_CANCEL, {"b_run": run_id, "b_reason": reason}).rowcount:
        return True
    row = connection.execute(_STANDING, {"b_run": run_id}).one_or_none()
    if row is None:
        raise no_run(run_id)
    return not is_final(RunState(row.state))
