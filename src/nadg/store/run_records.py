"""Reading runs: rows to the records of the domain. The only place that does so."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, bindparam, func, or_, select

from nadg.domain.changes import CodeChanged, PlanSettled, ShardsAdded, SubtaskRedefined
from nadg.domain.clock import Clock
from nadg.domain.errors import UserError, no_run
from nadg.domain.model_calls import CallRecord
from nadg.domain.run import AttemptRecord, RunRecord, RunSummary, ShardRecord, SubtaskRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final
from nadg.store import codec, dialect
from nadg.store.api import StoredEvent
from nadg.store.model_calls import read_calls
from nadg.store.tables import attempts, events, runs, shards, subtasks

_AMBIGUOUS_SHOWN = 5


def _count_of_subtasks(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    counted = select(func.count()).select_from(subtasks).where(subtasks.c.run_id == runs.c.id, *conditions)
    return counted.correlate(runs).scalar_subquery()


_RUN = select(runs).where(runs.c.id == bindparam("b_run"))
_SUBTASKS = select(subtasks).where(subtasks.c.run_id == bindparam("b_run")).order_by(subtasks.c.position)
_SHARDS = (
    select(shards).where(shards.c.run_id == bindparam("b_run")).order_by(shards.c.subtask_id, shards.c.shard_index)
)
_ATTEMPTS = (
    select(attempts)
    .where(attempts.c.run_id == bindparam("b_run"))
    .order_by(attempts.c.subtask_id, attempts.c.shard_index, attempts.c.number)
)
_SUMMARIES: Select[Any] = (
    select(
        runs.c.id,
        runs.c.command,
        runs.c.planner,
        runs.c.state,
        runs.c.reason,
        runs.c.created_at,
        runs.c.finished_at,
        runs.c.lease_expires_at,
        runs.c.planning,
        runs.c.parent,
        runs.c.options,
        _count_of_subtasks(subtasks.c.state == str(SubtaskState.SUCCEEDED)).label("subtasks_done"),
        _count_of_subtasks().label("subtasks_total"),
    )
    .order_by(runs.c.created_at.desc(), runs.c.id.desc())
    .limit(bindparam("b_limit"))
)
_EVENTS: Select[Any] = (
    select(events.c.seq, events.c.at, events.c.payload, events.c.term)
    .where(events.c.run_id == bindparam("b_run"), events.c.seq > bindparam("b_seq"))
    .order_by(events.c.seq)
    .limit(bindparam("b_limit"))
)
_PLAN_KINDS = [kind.__struct_config__.tag for kind in (ShardsAdded, SubtaskRedefined, PlanSettled, CodeChanged)]
_PLAN_EVENTS: Select[Any] = (
    select(events.c.seq, events.c.at, events.c.payload, events.c.term)
    .where(events.c.run_id == bindparam("b_run"), events.c.kind.in_(_PLAN_KINDS))
    .order_by(events.c.seq)
)
_UNOWNED = (
    select(runs.c.id)
    .where(
        runs.c.state.in_([str(state) for state in RunState if not is_final(state)]),
        or_(runs.c.lease_expires_at.is_(None), runs.c.lease_expires_at <= bindparam("b_now")),
    )
    .order_by(runs.c.created_at, runs.c.id)
    .limit(bindparam("b_limit"))
)
_CANCEL_REASON = select(runs.c.cancel_reason).where(runs.c.id == bindparam("b_run"))
_SAME = select(runs.c.id).where(runs.c.id == bindparam("b_run"))
_SAME_START = (
    select(runs.c.id)
    .where(func.substr(runs.c.id, 1, bindparam("b_length")) == bindparam("b_prefix"))
    .order_by(runs.c.id)
    .limit(_AMBIGUOUS_SHOWN + 1)
)


def read_run(connection: Connection, run_id: str, clock: Clock) -> RunRecord:
    """A whole run: five queries, whatever its size."""
    key = {"b_run": run_id}
    row = connection.execute(_RUN, key).one_or_none()
    if row is None:
        raise no_run(run_id)
    now = dialect.of(connection).now(connection, clock)
    tries: dict[tuple[str, int], list[AttemptRecord]] = {}
    for attempt in connection.execute(_ATTEMPTS, key):
        tries.setdefault((attempt.subtask_id, attempt.shard_index), []).append(_attempt(attempt))
    pieces: dict[str, list[ShardRecord]] = {}
    for shard in connection.execute(_SHARDS, key):
        of_shard = tries.get((shard.subtask_id, shard.shard_index), [])
        pieces.setdefault(shard.subtask_id, []).append(_shard(shard, of_shard))
    parts = [_subtask(one, pieces.get(one.id, [])) for one in connection.execute(_SUBTASKS, key)]
    return _run(row, parts, read_calls(connection, run_id), now)


def read_summaries(
    connection: Connection, limit: int, states: Iterable[RunState] | None, clock: Clock
) -> list[RunSummary]:
    """The newest runs, with how many of their subtasks succeeded."""
    query, now = _SUMMARIES, dialect.of(connection).now(connection, clock)
    if states is not None:
        query = query.where(runs.c.state.in_([str(state) for state in states]))
    return [_summary(row, now) for row in connection.execute(query, {"b_limit": limit})]


def read_unowned(connection: Connection, limit: int, clock: Clock) -> list[str]:
    """Runs that nobody carries out; the same test as for claiming them."""
    now = dialect.of(connection).now(connection, clock)
    return list(connection.execute(_UNOWNED, {"b_now": now, "b_limit": limit}).scalars())


def find_run(connection: Connection, prefix: str) -> str:
    """The run whose id starts so."""
    wanted = prefix.strip().lower()
    if not wanted:
        raise UserError("the run id is empty; give its first characters, see `nadg runs list`")
    if connection.execute(_SAME, {"b_run": wanted}).first():  # by the index; a beginning is sought in all runs
        return wanted
    found = connection.execute(_SAME_START, {"b_prefix": wanted, "b_length": len(wanted)}).scalars().all()
    if not found:
        raise no_run(prefix)
    if len(found) > 1:
        shown = ", ".join(found[:_AMBIGUOUS_SHOWN]) + (", …" if len(found) > _AMBIGUOUS_SHOWN else "")
        raise UserError(f"run {prefix!r} could be {shown}; give more of the id")
    return str(found[0])


def read_cancel_reason(connection: Connection, run_id: str) -> str | None:
    """Whether someone asked to end the run, and why."""
    row = connection.execute(_CANCEL_REASON, {"b_run": run_id}).one_or_none()
    if row is None:
        raise no_run(run_id)
    return None if row.cancel_reason is None else str(row.cancel_reason)


def read_events(connection: Connection, run_id: str, seq: int, limit: int) -> list[StoredEvent]:
    """What happened after event `seq`."""
    rows = connection.execute(_EVENTS, {"b_run": run_id, "b_seq": seq, "b_limit": limit})
    return [_event(row) for row in rows]


def read_plan_events(connection: Connection, run_id: str) -> list[StoredEvent]:
    """How the plan and the shards of a run came to be what they are."""
    return [_event(row) for row in connection.execute(_PLAN_EVENTS, {"b_run": run_id})]


def _event(row: Row[tuple[object, ...]]) -> StoredEvent:
    return StoredEvent(seq=row.seq, at=row.at, change=codec.decode_change(row.payload), term=row.term)


def _is_orphaned(row: Row[tuple[object, ...]], now: datetime.datetime) -> bool:
    """Whether a run goes on in the books only; the same test as for claiming it."""
    return not is_final(RunState(row.state)) and (row.lease_expires_at is None or row.lease_expires_at <= now)


def _summary(row: Row[tuple[object, ...]], now: datetime.datetime) -> RunSummary:
    return RunSummary(
        id=row.id,
        command=row.command,
        planner=row.planner,
        state=RunState(row.state),
        reason=row.reason,
        created_at=row.created_at,
        finished_at=row.finished_at,
        orphaned=_is_orphaned(row, now),
        subtasks_done=row.subtasks_done,
        subtasks_total=row.subtasks_total,
        planning=row.planning,
        parent=row.parent,
        forked_from=codec.decode_options(row.options).forked_from,
    )


def _attempt(row: Row[tuple[object, ...]]) -> AttemptRecord:
    return AttemptRecord(
        id=row.id,
        number=row.number,
        state=AttemptState(row.state),
        worker=row.worker,
        reason=row.reason,
        started_at=row.started_at,
        finished_at=row.finished_at,
        outcome=None if row.outcome is None else codec.decode_outcome(row.outcome),
    )


def _shard(row: Row[tuple[object, ...]], tries: list[AttemptRecord]) -> ShardRecord:
    return ShardRecord(
        index=row.shard_index,
        state=ShardState(row.state),
        piece=codec.decode_piece(row.piece),
        reason=row.reason,
        attempts=tuple(tries),
    )


def _subtask(row: Row[tuple[object, ...]], pieces: list[ShardRecord]) -> SubtaskRecord:
    return SubtaskRecord(
        id=row.id,
        state=SubtaskState(row.state),
        reason=row.reason,
        result=None if row.result is None else codec.decode_value(row.result),
        artifacts=() if row.artifacts is None else codec.decode_files(row.artifacts),
        shards=tuple(pieces),
    )


def _run(
    row: Row[tuple[object, ...]], parts: list[SubtaskRecord], calls: list[CallRecord], now: datetime.datetime
) -> RunRecord:
    return RunRecord(
        id=row.id,
        command=row.command,
        planner=row.planner,
        state=RunState(row.state),
        reason=row.reason,
        plan=codec.decode_plan(row.plan),
        inputs=codec.decode_inputs(row.inputs),
        options=codec.decode_options(row.options),
        created_at=row.created_at,
        finished_at=row.finished_at,
        cancel_requested=row.cancel_reason is not None,
        subtasks=tuple(parts),
        orphaned=_is_orphaned(row, now),
        planning=row.planning,
        answer=row.answer,
        calls=tuple(calls),
        parent=row.parent,
    )
