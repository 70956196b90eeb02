"""A run as the store ought to keep it: plain dictionaries, every write taken back where one is refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace

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
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import AttemptRecord, Lease, NewRun, RunRecord, ShardRecord, SubtaskRecord
from nadg.domain.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    SHARD_MOVES,
    SUBTASK_MOVES,
    AttemptState,
    RunState,
    ShardState,
    SubtaskState,
    is_final,
    require_move,
)
from nadg.store import StoredEvent

K = TypeVar("K")
V = TypeVar("V")


class ModelRun:
    """Every write notes how to take it back; a commit that is refused takes all of its own back."""

    def __init__(self, new: NewRun, now: datetime.datetime) -> None:
        self.id, self.term = new.id, 0
        self.lease: Lease | None = None
        self.expires: datetime.datetime | None = None
        self.events: list[StoredEvent] = []
        self._new, self._created_at = new, now
        self._run: dict[str, RunChanged] = {"": RunChanged(state=RunState.PLANNED)}
        self._finished_at: datetime.datetime | None = None
        self._parts = {one.id: one for one in new.plan.subtasks}
        self._plan: dict[str, PlanSettled | None] = {"": None}
        """How it was settled; None while it is written."""
        self._subtasks = {
            one.id: SubtaskRecord(id=one.id, state=SubtaskState.WAITING) for one in new.plan.subtasks
        }
        self._shards: dict[tuple[str, int], ShardRecord] = {}
        self._attempts: dict[str, tuple[str, int, AttemptRecord]] = {}
        self._undo: list[Callable[[], object]] = []

    @property
    def state(self) -> RunState:
        return self._run[""].state

    def take(self, owner: str, expires: datetime.datetime) -> Lease:
        """The next term begins."""
        self.term, self.expires = self.term + 1, expires
        self.lease = Lease(run_id=self.id, owner=owner, term=self.term)
        return self.lease

    def free(self, now: datetime.datetime) -> bool:
        """Whether anyone may claim it."""
        return not is_final(self.state) and (self.expires is None or self.expires <= now)

    def is_held_by(self, owner: str, now: datetime.datetime) -> bool:
        """Whether a claim of that owner is answered with the lease he has."""
        return self.lease is not None and self.lease.owner == owner and not self.free(now)

    def give_back(self) -> None:
        self.lease = self.expires = None

    def commit(self, changes: Sequence[Change], now: datetime.datetime) -> None:
        """All of the changes or none."""
        self._undo = []
        try:
            for change in changes:
                self._apply(change, now)
        except IllegalTransition:
            for take_back in reversed(self._undo):
                take_back()
            raise
        first = len(self.events) + 1
        self.events += [
            StoredEvent(seq=seq, at=now, change=one, term=self.term) for seq, one in enumerate(changes, first)
        ]
        if is_final(self.state):
            self.give_back()
            self._finished_at = now

    def record(self, now: datetime.datetime) -> RunRecord:
        return RunRecord(
            id=self.id,
            command=self._new.command,
            planner=self._new.planner,
            state=self.state,
            reason=self._run[""].reason,
            plan=self._whole_plan(),
            inputs=self._new.inputs,
            options=self._new.options,
            created_at=self._created_at,
            finished_at=self._finished_at,
            cancel_requested=False,
            subtasks=tuple(replace(one, shards=self._shards_of(one.id)) for one in self._subtasks.values()),
            orphaned=self.free(now),
            planning=self._new.planning and self._plan[""] is None,
            answer=self._run[""].answer,
        )

    def _whole_plan(self) -> Plan:
        settled, parts = self._plan[""], tuple(self._parts.values())
        return Plan(
            goal=settled.goal if settled else self._new.plan.goal,
            subtasks=parts,
            answer=settled.answer if settled else None,
        )

    def _shards_of(self, subtask_id: str) -> tuple[ShardRecord, ...]:
        tries: dict[int, list[AttemptRecord]] = {}
        for subtask, index, attempt in self._attempts.values():
            if subtask == subtask_id:
                tries.setdefault(index, []).append(attempt)
        found = sorted((index, shard) for (subtask, index), shard in self._shards.items() if subtask == subtask_id)
        return tuple(
            replace(shard, attempts=tuple(sorted(tries.get(index, ()), key=lambda one: one.number)))
            for index, shard in found
        )

    def _apply(self, change: Change, now: datetime.datetime) -> None:
        match change:
            case RunChanged():
                require_move(RUN_MOVES, self.state, change.state, self.id)
                self._put(self._run, "", change)
            case SubtasksAdded() | SubtaskRedefined() | PlanSettled() | CodeChanged():
                self._edit_plan(change)
            case SubtaskChanged():
                self._move_subtask(change)
            case ShardsAdded():
                for index, piece in enumerate(change.pieces, change.first):
                    shard = ShardRecord(index=index, state=ShardState.QUEUED, piece=piece)
                    self._require(change.subtask_id in self._subtasks, change.subtask_id)
                    self._add(self._shards, (change.subtask_id, index), shard)
            case ShardChanged():
                key = (change.subtask_id, change.index)
                self._require(key in self._shards, key)
                state = require_move(SHARD_MOVES, self._shards[key].state, change.state, str(key))
                self._put(self._shards, key, replace(self._shards[key], state=state, reason=change.reason))
            case AttemptAdded():
                place = (change.subtask_id, change.index, change.number)
                taken = ((subtask, index, one.number) for subtask, index, one in self._attempts.values())
                self._require(place[:2] in self._shards and place not in taken, change.attempt_id)
                attempt = AttemptRecord(id=change.attempt_id, number=change.number, state=AttemptState.QUEUED)
                self._add(self._attempts, change.attempt_id, (change.subtask_id, change.index, attempt))
            case AttemptChanged():
                self._move_attempt(change, now)

    def _edit_plan(self, change: SubtasksAdded | SubtaskRedefined | PlanSettled | CodeChanged) -> None:
        if not isinstance(change, CodeChanged):
            self._require(self._plan[""] is None, "plan")
        match change:
            case SubtasksAdded():
                for one in change.subtasks:
                    self._add(self._parts, one.id, Subtask.model_validate(one.document))
                    self._add(self._subtasks, one.id, SubtaskRecord(id=one.id, state=SubtaskState.WAITING))
            case SubtaskRedefined(subtask=one):
                self._require(self.state is RunState.RUNNING and one.id in self._parts, one.id)
                self._put(self._parts, one.id, Subtask.model_validate(one.document))
                self._put(self._subtasks, one.id, SubtaskRecord(id=one.id, state=SubtaskState.WAITING))
            case PlanSettled():
                self._require(change.answer in self._parts, change.answer)
                self._put(self._plan, "", change)
            case CodeChanged():
                self._require(change.subtask_id in self._parts, change.subtask_id)
                old = self._parts[change.subtask_id]
                self._require(isinstance(old.work, PythonWork), change.subtask_id)
                work = PythonWork(kind="python", code=change.code)
                self._put(self._parts, change.subtask_id, old.model_copy(update={"work": work}))

    def _move_subtask(self, change: SubtaskChanged) -> None:
        self._require(change.subtask_id in self._subtasks, change.subtask_id)
        old = self._subtasks[change.subtask_id]
        require_move(SUBTASK_MOVES, old.state, change.state, change.subtask_id)
        moved = replace(
            old, state=change.state, reason=change.reason, result=change.result, artifacts=change.artifacts
        )
        self._put(self._subtasks, change.subtask_id, moved)

    def _move_attempt(self, change: AttemptChanged, now: datetime.datetime) -> None:
        self._require(change.attempt_id in self._attempts, change.attempt_id)
        subtask_id, index, old = self._attempts[change.attempt_id]
        require_move(ATTEMPT_MOVES, old.state, change.state, change.attempt_id)
        ended, outcome = is_final(change.state), change.outcome
        receipt = outcome.receipt if outcome else None
        worker = change.worker or (receipt.worker if receipt else "")
        began = (receipt.started_at if receipt and receipt.ran else None) if ended else change.at or now
        moved = replace(
            old,
            state=change.state,
            worker=worker or old.worker,
            reason=change.reason or (outcome.reason if outcome else ""),
            started_at=old.started_at or began,
            finished_at=(change.at or (receipt.finished_at if receipt else now)) if ended else None,
            outcome=outcome,
        )
        self._put(self._attempts, change.attempt_id, (subtask_id, index, moved))

    def _require(self, there: bool, what: object) -> None:
        if not there:
            raise IllegalTransition(f"run {self.id} {what}: absent")

    def _add(self, table: dict[K, V], key: K, value: V) -> None:
        if key in table:
            raise IllegalTransition(f"run {self.id} {key}: there already")
        table[key] = value
        self._undo.append(lambda: table.pop(key))

    def _put(self, table: dict[K, V], key: K, value: V) -> None:
        old = table[key]
        table[key] = value
        self._undo.append(lambda: table.__setitem__(key, old))
