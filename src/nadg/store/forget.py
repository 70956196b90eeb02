"""Forgetting runs: whole, and what they asked of models with them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from nadg.domain.states import RunState, is_final
from nadg.store.tables import attempts, events, model_calls, runs, shards, subtasks

_ENDED = (
    select(runs.c.id)
    .where(
        runs.c.state.in_([str(state) for state in RunState if is_final(state)]),
        runs.c.finished_at < bindparam("b_moment"),
    )
    .order_by(runs.c.finished_at, runs.c.id)
    .limit(bindparam("b_limit"))
    .with_for_update(skip_locked=True)
)
_DELETES = tuple(
    delete(table).where(table.c.run_id.in_(bindparam("b_runs", expanding=True)))
    for table in (model_calls, events, attempts, shards, subtasks)
)
_DELETE_RUNS = delete(runs).where(runs.c.id.in_(bindparam("b_runs", expanding=True)))


def delete_rows(connection: Connection, run_ids: Sequence[str]) -> None:
    """Everything of these runs, children first."""
    for statement in (*_DELETES, _DELETE_RUNS):
        connection.execute(statement, {"b_runs": list(run_ids)})


def prune_runs(connection: Connection, ended_before: datetime.datetime, limit: int) -> list[str]:
    """Forget so many runs that ended before then, oldest first."""
    found = list(connection.execute(_ENDED, {"b_moment": ended_before, "b_limit": limit}).scalars())
    if found:
        delete_rows(connection, found)
    return found
