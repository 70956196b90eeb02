"""Forgetting runs: whole, and what they asked of models with them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from nadg.domain.clock import Clock
from nadg.domain.errors import UserError, no_run
from nadg.domain.states import RunState, is_final
from nadg.store import dialect
from nadg.store.retention import fitting
from nadg.store.tables import attempts, events, model_calls, runs, shards, subtasks

_ENDED = (
    select(runs.c.id, runs.c.last_event_seq)
    .where(
        runs.c.state.in_([str(state) for state in RunState if is_final(state)]),
        runs.c.finished_at < bindparam("b_moment"),
    )
    .order_by(runs.c.finished_at, runs.c.id)
    .limit(bindparam("b_limit"))
    .with_for_update(skip_locked=True)
)
_STILL_THERE = select(runs.c.id).where(runs.c.id.in_(bindparam("b_runs", expanding=True))).with_for_update()
_STANDING = select(runs.c.state, runs.c.lease_expires_at).where(runs.c.id == bindparam("b_run")).with_for_update()
_DELETES = tuple(
    delete(table).where(table.c.run_id.in_(bindparam("b_runs", expanding=True)))
    for table in (model_calls, events, attempts, shards, subtasks)
)
_DELETE_RUNS = delete(runs).where(runs.c.id.in_(bindparam("b_runs", expanding=True)))


def delete_rows(connection: Connection, run_ids: Sequence[str]) -> None:
    """Everything of these runs, children first."""
    for statement in (*_DELETES, _DELETE_RUNS):
        connection.execute(statement, {"b_runs": list(run_ids)})


class Deletion:
    """Deletes one run that nobody works on; may be carried out again where nobody knows whether it was."""

    def __init__(self, run_id: str, clock: Clock) -> None:
        self._run_id, self._clock = run_id, clock
        self._found = False

    def carry_out(self, connection: Connection) -> None:
        """Raises NotFound, UserError while the run goes on."""
        row = connection.execute(_STANDING, {"b_run": self._run_id}).one_or_none()
        if row is None:
            if self._found:
                return
            raise no_run(self._run_id)
        now = dialect.of(connection).now(connection, self._clock)
        alive = row.lease_expires_at is not None and row.lease_expires_at > now
        if alive and not is_final(RunState(row.state)):
            raise UserError(
                f"run {self._run_id} is {row.state}; cancel it first: `nadg runs cancel {self._run_id}`"
            )
        delete_rows(connection, [self._run_id])
        self._found = True


class Pruning:
    """Forgets old runs, oldest first; carried out again, it looks first whether the last time went through."""

    def __init__(self, ended_before: datetime.datetime, limit: int) -> None:
        self._ended_before, self._limit = ended_before, limit
        self._taken: list[str] = []

    def carry_out(self, connection: Connection) -> list[str]:
        """The ids of those that are forgotten."""
        if self._taken and not connection.execute(_STILL_THERE, {"b_runs": self._taken}).first():
            return self._taken
        key = {"b_moment": self._ended_before, "b_limit": self._limit}
        self._taken = fitting([(row.id, row.last_event_seq) for row in connection.execute(_ENDED, key)])
        if self._taken:
            delete_rows(connection, self._taken)
        return self._taken
