"""How far a run is, folded from its changes: what the live table and the plain lines are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from nadg.domain.changes import (
    AttemptChanged,
    Change,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
)
from nadg.domain.ids import parse_attempt_id
from nadg.domain.plan import Plan
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final


@dataclass(kw_only=True)
class SubtaskProgress:
    """One subtask as it stands; times are seconds of the clock that the changes were given with."""

    id: str
    title: str
    state: SubtaskState = SubtaskState.WAITING
    reason: str = ""
    shards_total: int = 0
    shards_done: int = 0
    shards_failed: int = 0
    lost_attempts: int = 0
    running: dict[str, str] = field(default_factory=dict)
    """Attempt id to worker, for attempts that run right now."""
    workers: set[str] = field(default_factory=set)
    """Every worker that ran a part of it."""
    started: float | None = None
    ended: float | None = None

    def seconds(self, now: float) -> float | None:
        """How long it has been going, or went; None before it began."""
        return None if self.started is None else (self.ended or now) - self.started


class RunProgress:
    """A run as it stands. Changes come in their order; `now` is any monotonic clock."""

    def __init__(self, run_id: str, plan: Plan, now: float) -> None:
        self.run_id = run_id
        self.state = RunState.PLANNED
        self.reason = ""
        self.started = now
        self.subtasks = {one.id: SubtaskProgress(id=one.id, title=one.name) for one in plan.subtasks}

    def apply(self, change: Change, now: float) -> SubtaskProgress | None:
        """Take one change in; returns the subtask that it concerns."""
        match change:
            case RunChanged():
                self.state, self.reason = change.state, change.reason
                return None
            case SubtaskChanged():
                return self._subtask_changed(change, now)
            case ShardsAdded():
                self.subtasks[change.subtask_id].shards_total += len(change.pieces)
                return self.subtasks[change.subtask_id]
            case ShardChanged():
                return self._shard_changed(change)
            case AttemptChanged():
                return self._attempt_changed(change)
            case _:
                return self.subtasks[change.subtask_id]

    def workers_in_use(self) -> set[str]:
        """The workers that run something for this run right now."""
        return {worker for one in self.subtasks.values() for worker in one.running.values()}

    def _subtask_changed(self, change: SubtaskChanged, now: float) -> SubtaskProgress:
        subtask = self.subtasks[change.subtask_id]
        subtask.state, subtask.reason = change.state, change.reason
        if change.state is not SubtaskState.WAITING and not is_final(change.state):
            subtask.started = now if subtask.started is None else subtask.started
        if is_final(change.state):
            subtask.ended = now
            subtask.running.clear()
        return subtask

    def _shard_changed(self, change: ShardChanged) -> SubtaskProgress:
        subtask = self.subtasks[change.subtask_id]
        subtask.shards_done += change.state is ShardState.SUCCEEDED
        subtask.shards_failed += change.state is ShardState.FAILED
        return subtask

    def _attempt_changed(self, change: AttemptChanged) -> SubtaskProgress:
        subtask = self.subtasks[parse_attempt_id(change.attempt_id).subtask_id]
        if change.state is AttemptState.RUNNING:
            subtask.running[change.attempt_id] = change.worker
            subtask.workers.add(change.worker)
        else:
            subtask.running.pop(change.attempt_id, None)
        subtask.lost_attempts += change.state is AttemptState.LOST
        return subtask
