"""What `decide` changed: each is one named, fenced SQL operation, one row of the event log, one thing to show."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from nadg.domain.assignment import Piece
from nadg.domain.blob import FileRef, Value
from nadg.domain.outcome import Outcome
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState


class _Change(msgspec.Struct, frozen=True, kw_only=True, tag_field="change", omit_defaults=True):
    pass


class RunChanged(_Change, frozen=True, kw_only=True, tag="run"):
    """The run moved on; `reason` says why it failed or was cancelled."""

    state: RunState
    reason: str = ""
    answer: str = ""
    """The answer that a model composed; it comes with `succeeded`."""


class PlannedSubtask(msgspec.Struct, frozen=True, kw_only=True):
    """A subtask of a plan that is still being written, as the plan's document has it."""

    id: str
    title: str
    document: dict[str, Any]
    """Its JSON form, defaults included."""


class SubtasksAdded(_Change, frozen=True, kw_only=True, tag="subtasks_added"):
    """The plan grew: these come after the subtasks that it has, and wait."""

    subtasks: tuple[PlannedSubtask, ...]


class SubtaskRedefined(_Change, frozen=True, kw_only=True, tag="subtask_redefined"):
    """The plan says otherwise now: the subtask of this id waits anew, whatever its state was.

    Its result and artifacts are forgotten; its shards and attempts stay as a record of what was done, and
    new shards get the indexes after theirs.
    """

    subtask: PlannedSubtask


class PlanSettled(_Change, frozen=True, kw_only=True, tag="plan_settled"):
    """The plan is whole: nothing is added to it from now on."""

    goal: str
    answer: str
    """The id of the subtask whose result is the answer."""
    planner: str = ""
    """Who made the plan; empty: whom the run names already."""
    dropped: tuple[str, ...] = ()
    """Subtasks that were begun and that the plan does without: they stay as a record, with `drop_reason`."""
    drop_reason: str = ""


class CodeChanged(_Change, frozen=True, kw_only=True, tag="code_changed"):
    """A model mended the code of a python subtask; attempts from now on run this."""

    subtask_id: str
    code: str
    number: int
    """1 for the first mending."""
    reason: str
    """What had gone wrong."""


class SubtaskChanged(_Change, frozen=True, kw_only=True, tag="subtask"):
    """A subtask moved on; `result` and `artifacts` come with `succeeded`."""

    subtask_id: str
    state: SubtaskState
    reason: str = ""
    result: Value | None = None
    artifacts: tuple[FileRef, ...] = ()


class ShardsAdded(_Change, frozen=True, kw_only=True, tag="shards"):
    """New shards, queued, with consecutive indexes from `first`."""

    subtask_id: str
    first: int
    pieces: tuple[Piece, ...]


class ShardChanged(_Change, frozen=True, kw_only=True, tag="shard"):
    """A shard moved on; its result and artifacts stand in its successful attempt's outcome."""

    subtask_id: str
    index: int
    state: ShardState
    reason: str = ""


class AttemptAdded(_Change, frozen=True, kw_only=True, tag="attempt_added"):
    """A new try, queued at the engine; it is the shard's current attempt from now on."""

    attempt_id: str
    subtask_id: str
    index: int
    number: int
    hedge: bool = False
    """It runs beside an earlier one that is slow; the first outcome of the two counts."""


class AttemptChanged(_Change, frozen=True, kw_only=True, tag="attempt"):
    """An attempt moved on; `outcome` comes with its end where a worker reported one."""

    attempt_id: str
    state: AttemptState
    worker: str = ""
    at: datetime.datetime | None = None
    reason: str = ""
    outcome: Outcome | None = None
    cache_key: str = ""
    """Under which a successful outcome may serve for equal work later; empty: under none."""


Change = (
    RunChanged
    | SubtasksAdded
    | SubtaskRedefined
    | PlanSettled
    | CodeChanged
    | SubtaskChanged
    | ShardsAdded
    | ShardChanged
    | AttemptAdded
    | AttemptChanged
)
