"""Changes as rows to write: no database here, so one bad change is found before it can spoil a group."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    CodeChanged,
    PlanSettled,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
    SubtaskRedefined,
    SubtasksAdded,
)
from nadg.domain.errors import IllegalTransition
from nadg.domain.run import Lease
from nadg.domain.states import AttemptState, ShardState, SubtaskState, is_final
from nadg.store.codec import encode
from nadg.store.guards import Row, states_before
from nadg.store.plan_edits import PlanEdit, RunMoved, addition, mending, redefinition, settling


@dataclasses.dataclass(kw_only=True, slots=True)
class Writes:
    """What one commit, or several together, will write: parameters by operation, in order."""

    run_moves: list[Row] = dataclasses.field(default_factory=list)
    plan_edits: list[PlanEdit] = dataclasses.field(default_factory=list)
    subtask_moves: list[Row] = dataclasses.field(default_factory=list)
    """Moves by the table and redefinitions, which have a title, in one order: a subtask may do both in turn."""
    new_shards: list[Row] = dataclasses.field(default_factory=list)
    shard_moves: list[Row] = dataclasses.field(default_factory=list)
    new_attempts: list[Row] = dataclasses.field(default_factory=list)
    attempt_moves: list[Row] = dataclasses.field(default_factory=list)
    events: list[Row] = dataclasses.field(default_factory=list)
    """Without their sequence numbers, which only the fence can give."""
    ended_on: list[str] = dataclasses.field(default_factory=list)
    """The worker of each attempt that ended."""
    ends_run: bool = False

    def extend(self, other: Writes) -> None:
        """Add the writes of a later commit."""
        self.run_moves += other.run_moves
        self.plan_edits += other.plan_edits
        self.subtask_moves += other.subtask_moves
        self.new_shards += other.new_shards
        self.shard_moves += other.shard_moves
        self.new_attempts += other.new_attempts
        self.attempt_moves += other.attempt_moves
        self.events += other.events
        self.ended_on += other.ended_on


class _Named:
    """What the changes so far speak of. The rows are written kind by kind, so what is added after something
    that speaks of it would be taken for something added before."""

    def __init__(self) -> None:
        self._subtasks: set[str] = set()
        self._shards: set[tuple[str, int]] = set()
        self._attempts: set[str] = set()

    def note(self, change: Change) -> None:
        """Raises IllegalTransition where the change adds what an earlier one spoke of."""
        match change:
            case ShardChanged() | AttemptAdded():
                self._subtasks.add(change.subtask_id)
                if isinstance(change, AttemptAdded) and change.attempt_id in self._attempts:
                    raise IllegalTransition(f"attempt {change.attempt_id} is changed before it is added")
                self._shards.add((change.subtask_id, change.index))
            case AttemptChanged():
                self._attempts.add(change.attempt_id)
            case ShardsAdded():
                if change.pieces:
                    self._subtasks.add(change.subtask_id)
                for index in range(change.first, change.first + len(change.pieces)):
                    if (change.subtask_id, index) in self._shards:
                        raise IllegalTransition(f"shard {change.subtask_id}/{index} is changed before it is added")
            case SubtasksAdded():
                for one in change.subtasks:
                    if one.id in self._subtasks:
                        raise IllegalTransition(f"subtask {one.id} is changed before it is added")
            case SubtaskChanged():
                self._subtasks.add(change.subtask_id)
            case _:
                pass


def writes_of(lease: Lease, changes: Sequence[Change], now: datetime.datetime) -> Writes:
    """Everything one commit writes. Raises IllegalTransition or ValueError on what never can be stored."""
    writes, named = Writes(), _Named()
    for change in changes:
        named.note(change)
        match change:
            case AttemptChanged():
                _attempt_moves(writes, lease, change, now)
            case ShardChanged():
                writes.shard_moves.append(_shard_move(lease, change))
            case AttemptAdded():
                writes.new_attempts.append(_new_attempt(lease, change, now))
            case ShardsAdded():
                writes.new_shards.extend(_new_shards(lease, change))
            case SubtaskChanged():
                writes.subtask_moves.append(_subtask_move(lease, change))
            case SubtasksAdded():
                writes.plan_edits.append(addition(lease, change))
            case SubtaskRedefined():
                writes.plan_edits.append(redefinition(lease, change))
                writes.subtask_moves.append(_redefinition(lease, change))
            case PlanSettled():
                writes.plan_edits.append(settling(lease, change))
            case CodeChanged():
                writes.plan_edits.append(mending(lease, change))
            case RunChanged():
                writes.plan_edits.append(RunMoved(lease, change.state))
                writes.run_moves.append(_run_move(lease, change, now))
                writes.ends_run = writes.ends_run or is_final(change.state)
        kind = change.__struct_config__.tag
        writes.events.append(
            {"run_id": lease.run_id, "at": now, "kind": kind, "payload": encode(change), "term": lease.term}
        )
    return writes


def _run_move(lease: Lease, change: RunChanged, now: datetime.datetime) -> Row:
    ended = is_final(change.state)
    return {
        "b_run": lease.run_id,
        "b_owner": lease.owner,
        "b_term": lease.term,
        "b_state": str(change.state),
        "b_reason": change.reason,
        "b_finished": now if ended else None,
        "b_next_owner": None if ended else lease.owner,
        "b_answer": change.answer,
        **states_before(change.state),
    }


def _subtask_move(lease: Lease, change: SubtaskChanged) -> Row:
    return {
        "b_run": lease.run_id,
        "b_subtask": change.subtask_id,
        "b_state": str(change.state),
        "b_reason": change.reason,
        "b_result": None if change.result is None else encode(change.result),
        "b_artifacts": encode(change.artifacts) if change.artifacts else None,
        **states_before(change.state),
    }


def _redefinition(lease: Lease, change: SubtaskRedefined) -> Row:
    one = change.subtask
    return {
        "b_run": lease.run_id,
        "b_subtask": one.id,
        "b_title": one.title or one.id,
        "b_reason": "",
        "b_state": str(SubtaskState.WAITING),
    }


def _new_shards(lease: Lease, change: ShardsAdded) -> list[Row]:
    state = str(ShardState.QUEUED)
    return [
        {
            "run_id": lease.run_id,
            "subtask_id": change.subtask_id,
            "shard_index": index,
            "state": state,
            "piece": encode(piece),
        }
        for index, piece in enumerate(change.pieces, change.first)
    ]


def _shard_move(lease: Lease, change: ShardChanged) -> Row:
    return {
        "b_run": lease.run_id,
        "b_subtask": change.subtask_id,
        "b_index": change.index,
        "b_state": str(change.state),
        "b_reason": change.reason,
        **states_before(change.state),
    }


def _new_attempt(lease: Lease, change: AttemptAdded, now: datetime.datetime) -> Row:
    return {
        "id": change.attempt_id,
        "run_id": lease.run_id,
        "subtask_id": change.subtask_id,
        "shard_index": change.index,
        "number": change.number,
        "state": str(AttemptState.QUEUED),
        "created_at": now,
    }


def _attempt_moves(writes: Writes, lease: Lease, change: AttemptChanged, now: datetime.datetime) -> None:
    """A start or an end. What the change leaves out is taken from the receipt, and the time from the clock."""
    if change.at is not None and change.at.tzinfo is None:
        raise ValueError(f"{change.attempt_id}: the time {change.at.isoformat()} has no zone")
    ended = is_final(change.state)
    outcome, receipt = change.outcome, change.outcome.receipt if change.outcome else None
    worker = change.worker or (receipt.worker if receipt else "")
    began = (receipt.started_at if receipt and receipt.ran else None) if ended else change.at or now
    finished = change.at or (receipt.finished_at if receipt else now)
    row: Row = {
        "b_attempt": change.attempt_id,
        "b_run": lease.run_id,
        "b_state": str(change.state),
        "b_reason": change.reason or (outcome.reason if outcome else ""),
        "b_worker": worker or None,
        "b_started": began,
        "b_finished": finished if ended else None,
        "b_outcome": encode(outcome) if outcome else None,
        "b_cache_key": change.cache_key,
        "b_environment": receipt.environment if receipt else "",
        **states_before(change.state),
    }
    writes.attempt_moves.append(row)
    if ended and worker and not (receipt and receipt.reused_from):
        writes.ended_on.append(worker)
