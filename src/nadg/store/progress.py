"""The named operations behind changes: each moves rows on, and only from a state the transition tables allow.

All take many rows at once and tell how many were changed; fewer than given means that one was refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Text, and_, bindparam, case, func, insert, null, select, update

from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.store import dialect
from nadg.store.guards import Row, allowed_states
from nadg.store.tables import attempts, events, runs, shards, subtasks, worker_nodes
from nadg.store.types import AnyText, UtcDateTime

_ADD_SUBTASK, _ADD_SHARD = insert(subtasks), insert(shards)
_ADD_ATTEMPT, _ADD_EVENT = insert(attempts), insert(events)
_MOVE_RUN = (
    update(runs)
    .where(
        runs.c.id == bindparam("b_run"),
        runs.c.lease_owner == bindparam("b_owner"),
        runs.c.lease_term == bindparam("b_term"),
        runs.c.state.in_(allowed_states(RunState)),
    )
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        finished_at=bindparam("b_finished"),
        lease_owner=bindparam("b_next_owner", type_=Text),
        lease_expires_at=case(
            (bindparam("b_next_owner", type_=Text).is_(None), None), else_=runs.c.lease_expires_at
        ),
        answer=bindparam("b_answer"),
    )
)
_MOVE_SUBTASK = (
    update(subtasks)
    .where(
        subtasks.c.run_id == bindparam("b_run"),
        subtasks.c.id == bindparam("b_subtask"),
        subtasks.c.state.in_(allowed_states(SubtaskState)),
    )
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        result=bindparam("b_result"),
        artifacts=bindparam("b_artifacts"),
    )
)
_REDEFINE_SUBTASK = (
    update(subtasks)
    .where(subtasks.c.run_id == bindparam("b_run"), subtasks.c.id == bindparam("b_subtask"))
    .values(
        state=bindparam("b_state"),
        title=bindparam("b_title"),
        reason=bindparam("b_reason"),
        result=null(),
        artifacts=null(),
    )
)
_SHARD_KEY = and_(
    shards.c.run_id == bindparam("b_run"),
    shards.c.subtask_id == bindparam("b_subtask"),
    shards.c.shard_index == bindparam("b_index"),
)
_MOVE_SHARD = (
    update(shards)
    .where(_SHARD_KEY, shards.c.state.in_(allowed_states(ShardState)))
    .values(state=bindparam("b_state"), reason=bindparam("b_reason"))
)
_MOVE_ATTEMPT = (
    update(attempts)
    .where(
        attempts.c.id == bindparam("b_attempt"),
        attempts.c.run_id == bindparam("b_run"),
        attempts.c.state.in_(allowed_states(AttemptState)),
    )
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        worker=func.coalesce(bindparam("b_worker", type_=AnyText), attempts.c.worker),
        started_at=func.coalesce(attempts.c.started_at, bindparam("b_started", type_=UtcDateTime)),
        finished_at=bindparam("b_finished"),
        outcome=bindparam("b_outcome"),
        cache_key=bindparam("b_cache_key"),
        environment=bindparam("b_environment"),
    )
)
_NEWEST_OF_NAME = (
    select(worker_nodes.c.id)
    .where(worker_nodes.c.name == bindparam("b_worker"))
    .order_by(func.coalesce(worker_nodes.c.last_ping, worker_nodes.c.created_at).desc())
    .limit(1)
    .scalar_subquery()
)
_COUNT_TASKS = (
    update(worker_nodes)
    .where(worker_nodes.c.id == _NEWEST_OF_NAME)
    .values(total_tasks=worker_nodes.c.total_tasks + bindparam("b_ended"))
)


def move_runs(connection: Connection, rows: Sequence[Row]) -> int:
    """Runs start or end; the end gives up the lease."""
    return dialect.execute_many(connection, _MOVE_RUN, rows)


def move_subtasks(connection: Connection, rows: Sequence[Row]) -> int:
    """Subtasks move on; what they made comes with the last move."""
    return dialect.execute_many(connection, _MOVE_SUBTASK, rows)


def add_subtasks(connection: Connection, rows: Sequence[Row]) -> int:
    """A plan that is still written grew; its new subtasks wait."""
    return dialect.execute_many(connection, _ADD_SUBTASK, rows)


def redefine_subtasks(connection: Connection, rows: Sequence[Row]) -> int:
    """Subtasks wait anew, whatever their state was, and forget what they made."""
    return dialect.execute_many(connection, _REDEFINE_SUBTASK, rows)


def add_shards(connection: Connection, rows: Sequence[Row]) -> int:
    """New queued shards with their pieces."""
    return dialect.execute_many(connection, _ADD_SHARD, rows)


def move_shards(connection: Connection, rows: Sequence[Row]) -> int:
    """Shards get a current attempt, go back to the queue, or end."""
    return dialect.execute_many(connection, _MOVE_SHARD, rows)


def add_attempts(connection: Connection, rows: Sequence[Row]) -> int:
    """New tries, queued at the engine."""
    return dialect.execute_many(connection, _ADD_ATTEMPT, rows)


def move_attempts(connection: Connection, rows: Sequence[Row]) -> int:
    """Attempts begin on a worker or end; an end is accepted once."""
    return dialect.execute_many(connection, _MOVE_ATTEMPT, rows)


def add_events(connection: Connection, rows: Sequence[Row]) -> int:
    """The event log grows."""
    return dialect.execute_many(connection, _ADD_EVENT, rows)


def count_tasks(connection: Connection, rows: Sequence[Row]) -> None:
    """Workers are credited with the attempts that ended on them; of two with one name, the one seen last."""
    if rows:
        connection.execute(_COUNT_TASKS, rows)


def present_state(connection: Connection, row: Row) -> str | None:
    """The state that a refused move met; None where there is no such row."""
    if "b_attempt" in row:
        query = select(attempts.c.state).where(
            attempts.c.id == bindparam("b_attempt"), attempts.c.run_id == bindparam("b_run")
        )
    elif "b_index" in row:
        query = select(shards.c.state).where(_SHARD_KEY)
    elif "b_subtask" in row:
        query = select(subtasks.c.state).where(
            subtasks.c.run_id == bindparam("b_run"), subtasks.c.id == bindparam("b_subtask")
        )
    else:
        query = select(runs.c.state).where(runs.c.id == bindparam("b_run"))
    return connection.execute(query, row).scalar_one_or_none()
