"""A store that remembers in memory alone: what a run costs when nothing is made durable.

It keeps the same promises within one process: changes are checked against the tables of moves and fenced
by the lease, and stand in an event log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
)
from nadg.domain.errors import LeaseLost
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    SHARD_MOVES,
    SUBTASK_MOVES,
    AttemptState,
    RunState,
    ShardState,
    SubtaskState,
    require_move,
)
from nadg.store.api import ReusableOutcome


class MemoryRuns:
    """What a run's loop needs of a store, for runs whose plan is whole."""

    def __init__(self) -> None:
        self.state: dict[str, RunState] = {}
        self.events: dict[str, list[Change]] = {}
        self._leases: dict[str, Lease] = {}
        self._subtasks: dict[tuple[str, str], SubtaskState] = {}
        self._shards: dict[tuple[str, str, int], ShardState] = {}
        self._attempts: dict[str, AttemptState] = {}

    async def create(self, new: NewRun, owner: str) -> Lease:
        self.state[new.id], self.events[new.id] = RunState.PLANNED, []
        self._subtasks.update({(new.id, one.id): SubtaskState.WAITING for one in new.plan.subtasks})
        self._leases[new.id] = Lease(run_id=new.id, owner=owner, term=1)
        return self._leases[new.id]

    async def commit(self, lease: Lease, changes: Sequence[Change]) -> int:
        self._check(lease)
        for change in changes:
            self._apply(lease.run_id, change)
        log = self.events[lease.run_id]
        log.extend(changes)
        return len(log)

    async def renew(self, lease: Lease, lease_seconds: float) -> None:
        self._check(lease)

    async def request_cancel(self, run_id: str, reason: str) -> bool:
        return True

    async def cancel_requested(self, run_id: str) -> str | None:
        return None

    async def reusable(self, keys: Iterable[str], environments: Collection[str]) -> dict[str, ReusableOutcome]:
        return {}

    def _check(self, lease: Lease) -> None:
        if self._leases.get(lease.run_id) != lease:
            raise LeaseLost(f"run {lease.run_id} is held by another")

    def _apply(self, run: str, change: Change) -> None:
        match change:
            case AttemptChanged(attempt_id=attempt, state=state):
                self._attempts[attempt] = require_move(ATTEMPT_MOVES, self._attempts[attempt], state, attempt)
            case AttemptAdded(attempt_id=attempt):
                self._attempts[attempt] = AttemptState.QUEUED
            case ShardChanged(subtask_id=subtask, index=index, state=state):
                key = (run, subtask, index)
                self._shards[key] = require_move(SHARD_MOVES, self._shards[key], state, subtask)
            case ShardsAdded(subtask_id=subtask, first=first, pieces=pieces):
                for place in range(first, first + len(pieces)):
                    self._shards[run, subtask, place] = ShardState.QUEUED
            case SubtaskChanged(subtask_id=subtask, state=state):
                old = self._subtasks[run, subtask]
                self._subtasks[run, subtask] = require_move(SUBTASK_MOVES, old, state, subtask)
            case RunChanged(state=state):
                self.state[run] = require_move(RUN_MOVES, self.state[run], state, run)
            case _:
                raise AssertionError(f"{type(change).__name__} belongs to plans that grow")
