"""How far a run is, folded from its changes: what the live table and the plain lines are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from nadg.domain.assignment import Merge
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    PlannedSubtask,
    PlanSettled,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
    SubtaskRedefined,
    SubtasksAdded,
)
from nadg.domain.ids import parse_attempt_id
from nadg.domain.plan import Plan
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final
from nadg.domain.worker import MASTER


@dataclass(kw_only=True)
class SubtaskProgress:
    """One subtask as it stands; times are seconds of the clock that the changes were given with.

    Shards are those that the work was cut into. The merge that closes a mapped skill is none of them.
    """

    id: str
    title: str
    state: SubtaskState = SubtaskState.WAITING
    reason: str = ""
    shards_total: int = 0
    shards_done: int = 0
    shards_failed: int = 0
    shards_reused: int = 0
    """Those whose outcome an earlier attempt gave."""
    lost_attempts: int = 0
    hedges: int = 0
    """Attempts that were made because another one of the shard was slow."""
    running: dict[str, str] = field(default_factory=dict)
    """Attempt id to worker, for attempts that run right now."""
    workers: set[str] = field(default_factory=set)
    """Every worker that ran a part of it."""
    begun: set[str] = field(default_factory=set)
    """Every attempt that a worker started."""
    first_shard: int | None = None
    """Index of its first shard; not 0 where it was planned anew."""
    merge: int | None = None
    """Index of the shard that merges, where there is one."""
    first_start: float | None = None
    tokens: int = 0
    """Of language models, in and out; those of prompt work that has ended."""
    last_end: float | None = None
    """Of its attempts: the time before, in which they wait for a slot, is not the subtask's."""

    def seconds(self, now: float) -> float | None:
        """How long it has been worked at, or was; None before a worker began."""
        if self.first_start is None:
            return None
        over = self.last_end if self.state is not SubtaskState.RUNNING and not self.running else None
        return (now if over is None else over) - self.first_start

    def busy_workers(self) -> set[str]:
        """The workers that run a part of it right now."""
        return set(self.running.values()) - {MASTER}

    @property
    def going(self) -> bool:
        """Whether it is its turn: its needs are there, and it is not over."""
        return self.state is not SubtaskState.WAITING and not is_final(self.state)


class RunProgress:
    """A run as it stands. Changes come in their order; `now` is any monotonic clock."""

    def __init__(self, run_id: str, plan: Plan, now: float) -> None:
        self.run_id = run_id
        self.state = RunState.PLANNED
        self.reason = ""
        self.started = now
        self.ended: float | None = None
        """When it was over."""
        self.subtasks = {one.id: SubtaskProgress(id=one.id, title=one.name) for one in plan.subtasks}

    def apply(self, change: Change, now: float) -> SubtaskProgress | None:
        """Take one change in; returns the subtask that it concerns."""
        match change:
            case RunChanged():
                self.state, self.reason = change.state, change.reason
                self.ended = now if is_final(change.state) else None
                return None
            case SubtaskChanged():
                return self._subtask_changed(change)
            case ShardsAdded():
                return self._shards_added(change)
            case ShardChanged():
                return self._shard_changed(change)
            case AttemptChanged():
                return self._attempt_changed(change, now)
            case AttemptAdded():
                self.subtasks[change.subtask_id].hedges += change.hedge
                return self.subtasks[change.subtask_id]
            case SubtasksAdded(subtasks=added):
                self.subtasks |= {one.id: _planned(one) for one in added}
                return None
            case SubtaskRedefined(subtask=one):
                self.subtasks[one.id] = _planned(one)
                return self.subtasks[one.id]
            case PlanSettled():
                return None
            case _:
                return self.subtasks[change.subtask_id]

    def seconds(self, now: float) -> float:
        """How long it has been going on, or did."""
        return (now if self.ended is None else self.ended) - self.started

    def workers_in_use(self) -> set[str]:
        """The workers that run something for this run right now."""
        return {worker for one in self.subtasks.values() for worker in one.busy_workers()}

    def _subtask_changed(self, change: SubtaskChanged) -> SubtaskProgress:
        subtask = self.subtasks[change.subtask_id]
        subtask.state, subtask.reason = change.state, change.reason
        return subtask

    def _shards_added(self, change: ShardsAdded) -> SubtaskProgress:
        subtask = self.subtasks[change.subtask_id]
        if subtask.first_shard is None:
            subtask.first_shard = change.first
        for index, piece in enumerate(change.pieces, start=change.first):
            if isinstance(piece, Merge):
                subtask.merge = index
            else:
                subtask.shards_total += 1
        return subtask

    def _shard_changed(self, change: ShardChanged) -> SubtaskProgress:
        subtask = self.subtasks[change.subtask_id]
        if change.index != subtask.merge:
            subtask.shards_done += change.state is ShardState.SUCCEEDED
            subtask.shards_failed += change.state is ShardState.FAILED
        return subtask

    def _attempt_changed(self, change: AttemptChanged, now: float) -> SubtaskProgress:
        subtask = self.subtasks[parse_attempt_id(change.attempt_id).subtask_id]
        if change.state is AttemptState.RUNNING:
            subtask.running[change.attempt_id] = change.worker
            _begin(subtask, change.attempt_id, change.worker, now)
            return subtask
        subtask.running.pop(change.attempt_id, None)
        if change.outcome is not None and change.outcome.receipt.ran:  # its start may not have been told
            _begin(subtask, change.attempt_id, change.outcome.receipt.worker, now)
        if change.outcome is not None and change.outcome.receipt.reused_from:
            subtask.shards_reused += parse_attempt_id(change.attempt_id).shard_index != subtask.merge
        elif change.outcome is not None and change.outcome.receipt.model_usage is not None:
            subtask.tokens += change.outcome.receipt.model_usage.tokens
        if change.attempt_id in subtask.begun:
            subtask.last_end = now
            subtask.lost_attempts += change.state is AttemptState.LOST
        return subtask


def _planned(one: PlannedSubtask) -> SubtaskProgress:
    return SubtaskProgress(id=one.id, title=one.title or one.id)


def _begin(subtask: SubtaskProgress, attempt_id: str, worker: str, now: float) -> None:
    subtask.begun.add(attempt_id)
    if worker != MASTER:
        subtask.workers.add(worker)
    subtask.first_start = now if subtask.first_start is None else subtask.first_start
