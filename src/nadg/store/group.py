"""Group commit: what many commits write, in a few statements of one transaction.

All commits of a group are tried together; where the database refuses a row, each is tried again on its
own, so that only the one at fault fails.
"""

from __future__ import annotations

import datetime
import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from nadg.domain.changes import Change
from nadg.domain.errors import IllegalTransition, LeaseLost
from nadg.domain.run import Lease
from nadg.store import dialect, progress
from nadg.store.guards import Row
from nadg.store.leases import Fence
from nadg.store.plan_edits import edit_plans
from nadg.store.rows import Writes, writes_of

Verdict = int | Exception
"""Of one commit: the number of its last event, or what its caller shall see raised."""


_REFUSALS = (IllegalTransition, LeaseLost, StatementError, ValueError, OverflowError)
"""What one commit's rows may raise; of the database's errors those that are none of its own troubles."""


class Commit(msgspec.Struct, frozen=True):
    """One caller's changes to one run."""

    lease: Lease
    changes: Sequence[Change]


class _Prepared(msgspec.Struct, frozen=True):
    lease: Lease
    writes: Writes | Exception
    """An exception where the changes cannot be written by anyone; the lease is still looked at first."""


class Written(msgspec.Struct, frozen=True):
    """What a transaction is about to leave behind."""

    verdicts: Sequence[Verdict]
    last_events: Sequence[Row]
    """The last row that each commit put into the event log, if any."""


def commit_group(connection: Connection, commits: Sequence[Commit], now: datetime.datetime) -> Written:
    """Write what may be written, and say of each commit what became of it. A failing database raises."""
    prepared = [_prepare(commit, now) for commit in commits]
    verdicts = _together(connection, prepared)
    if verdicts is None:
        verdicts = [_alone(connection, one) for one in prepared]
    events = [_last_event(one, verdict) for one, verdict in zip(prepared, verdicts, strict=True)]
    return Written(verdicts, [event for event in events if event is not None])


def _last_event(one: _Prepared, verdict: Verdict) -> Row | None:
    if isinstance(verdict, Exception) or isinstance(one.writes, Exception) or not one.writes.events:
        return None
    return one.writes.events[-1]


def _prepare(commit: Commit, now: datetime.datetime) -> _Prepared:
    try:
        return _Prepared(commit.lease, writes_of(commit.lease, commit.changes, now))
    except (IllegalTransition, ValueError, TypeError, msgspec.MsgspecError) as error:
        return _Prepared(commit.lease, error)


def _together(connection: Connection, prepared: Sequence[_Prepared]) -> list[Verdict] | None:
    """All at once; None, and nothing written, where a row was refused."""
    fence, whole = Fence(connection, (one.lease.run_id for one in prepared)), Writes()
    verdicts = [_admit(fence, one, whole) for one in prepared]
    try:
        with connection.begin_nested():
            fence.close(connection)
            _write(connection, whole, _all_changed)
            return verdicts
    except _REFUSALS as error:
        _require_refusal(connection, error)
        return None


def _alone(connection: Connection, one: _Prepared) -> Verdict:
    """One commit by itself, row by row, to name the row that is refused."""
    fence, whole = Fence(connection, [one.lease.run_id]), Writes()
    verdict = _admit(fence, one, whole)
    try:
        with connection.begin_nested():
            fence.close(connection)
            _write(connection, whole, _each_changed)
            return verdict
    except IntegrityError as error:
        refused = IllegalTransition(f"run {one.lease.run_id}: {error.orig}")
        refused.__cause__ = error
        return refused
    except _REFUSALS as error:
        _require_refusal(connection, error)
        return error


def _require_refusal(connection: Connection, error: Exception) -> None:
    """Raises the error where it says nothing of a row, but that the database is in trouble."""
    if isinstance(error, OperationalError) or dialect.of(connection).is_passing(error):
        raise error


def _admit(fence: Fence, one: _Prepared, whole: Writes) -> Verdict:
    """Let a commit through the fence and add what it writes to the whole."""
    try:
        fence.check(one.lease)
    except LeaseLost as error:
        return error
    if isinstance(one.writes, Exception):
        return one.writes
    whole.extend(one.writes)
    return fence.admit(one.lease, one.writes.events, one.writes.ends_run)


_Operation = Callable[[Connection, Sequence[Row]], int]
_Check = Callable[[Connection, _Operation, Sequence[Row]], None]


def _write(connection: Connection, writes: Writes, moves: _Check) -> None:
    """Every row, parents before children; `moves` carries out those that may be refused."""
    progress.add_subtasks(connection, edit_plans(connection, writes.plan_edits))
    for redefined, rows in itertools.groupby(writes.subtask_moves, lambda row: "b_title" in row):
        moves(connection, progress.redefine_subtasks if redefined else progress.move_subtasks, list(rows))
    progress.add_shards(connection, writes.new_shards)
    moves(connection, progress.move_shards, writes.shard_moves)
    progress.add_attempts(connection, writes.new_attempts)
    moves(connection, progress.move_attempts, writes.attempt_moves)
    moves(connection, progress.move_runs, writes.run_moves)
    progress.add_events(connection, writes.events)
    ended = sorted(Counter(writes.ended_on).items())
    progress.count_tasks(connection, [{"b_worker": name, "b_ended": count} for name, count in ended])


def _all_changed(connection: Connection, operation: _Operation, rows: Sequence[Row]) -> None:
    if operation(connection, rows) != len(rows):
        raise IllegalTransition("one move of the group was refused")


def _each_changed(connection: Connection, operation: _Operation, rows: Sequence[Row]) -> None:
    for row in rows:
        if operation(connection, [row]) != 1:
            place = [str(row[key]) for key in ("b_attempt", "b_subtask", "b_index") if key in row]
            old = progress.present_state(connection, row) or "absent"
            raise IllegalTransition(
                f"run {row['b_run']} {'/'.join(place)}: {old} -> {row['b_state']} is not a legal move".replace(
                    " :", ":"
                )
            )
