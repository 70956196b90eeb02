"""What happens to a run, told to `decide`. Facts only; what follows from them is decided elsewhere."""

from __future__ import annotations

import datetime

import msgspec

from nadg.domain.assignment import Piece
from nadg.domain.blob import FileRef, Value
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Plan, Subtask


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    pass


class RunStarted(_Event, frozen=True, kw_only=True, tag="run_started"):
    """The owner begins."""


class RunResumed(_Event, frozen=True, kw_only=True, tag="run_resumed"):
    """A new owner goes on where the last one stood."""


class AttemptSlow(_Event, frozen=True, kw_only=True, tag="attempt_slow"):
    """It runs far longer than others like it, and there is room for a second one beside it."""

    attempt_id: str


class ShardsPrepared(_Event, frozen=True, kw_only=True, tag="shards_prepared"):
    """The pieces of a subtask are known, in order.

    `definition` tells for which definition of the subtask, counted from 0: of an earlier one it counts no more.
    """

    subtask_id: str
    pieces: tuple[Piece, ...]
    definition: int = 0


class PrepareFailed(_Event, frozen=True, kw_only=True, tag="prepare_failed"):
    """The pieces could not be made: a file that is no table, a result that is no list."""

    subtask_id: str
    reason: str
    definition: int = 0


class AttemptStarted(_Event, frozen=True, kw_only=True, tag="attempt_started"):
    """A worker began to run it."""

    attempt_id: str
    worker: str
    at: datetime.datetime


class AttemptFinished(_Event, frozen=True, kw_only=True, tag="attempt_finished"):
    """A worker reported how it ended."""

    attempt_id: str
    outcome: Outcome


class AttemptLost(_Event, frozen=True, kw_only=True, tag="attempt_lost"):
    """The worker went away, or never could run it; nothing is known of its end. `worker` may be empty."""

    attempt_id: str
    worker: str
    reason: str
    at: datetime.datetime


class ResultGathered(_Event, frozen=True, kw_only=True, tag="result_gathered"):
    """The result and artifacts of a whole subtask are in store."""

    subtask_id: str
    result: Value
    artifacts: tuple[FileRef, ...] = ()
    definition: int = 0


class GatherFailed(_Event, frozen=True, kw_only=True, tag="gather_failed"):
    """The shards' results could not be made into one."""

    subtask_id: str
    reason: str
    definition: int = 0


class CancelRequested(_Event, frozen=True, kw_only=True, tag="cancel_requested"):
    """A person, a signal, the run's deadline or its budget asks to end it. `failed` marks the last two."""

    reason: str
    failed: bool = False


class SubtasksPlanned(_Event, frozen=True, kw_only=True, tag="subtasks_planned"):
    """The plan grew by these, complete and valid; each one's needs came before it."""

    subtasks: tuple[Subtask, ...]


class PlanFinished(_Event, frozen=True, kw_only=True, tag="plan_finished"):
    """The plan is whole and valid. Where it contradicts what was planned before, this is what counts."""

    plan: Plan
    planner: str = ""
    """Who made it; empty: whom the run names already."""


class PlanningFailed(_Event, frozen=True, kw_only=True, tag="planning_failed"):
    """There will be no whole plan."""

    reason: str


class CodeMended(_Event, frozen=True, kw_only=True, tag="code_mended"):
    """A model wrote the code of a subtask anew, after an attempt that raised."""

    subtask_id: str
    of_code: str
    """What it takes the place of."""
    code: str


class MendingFailed(_Event, frozen=True, kw_only=True, tag="mending_failed"):
    """No code came of it; `reason` says why."""

    subtask_id: str
    of_code: str
    reason: str


class AnswerComposed(_Event, frozen=True, kw_only=True, tag="answer_composed"):
    """The text of the run's answer; empty where none could be composed and the results must do."""

    text: str


ModelEvent = SubtasksPlanned | PlanFinished | PlanningFailed | CodeMended | MendingFailed | AnswerComposed
"""What came of asking a language model."""

Event = (
    RunStarted
    | RunResumed
    | AttemptSlow
    | ShardsPrepared
    | PrepareFailed
    | AttemptStarted
    | AttemptFinished
    | AttemptLost
    | ResultGathered
    | GatherFailed
    | CancelRequested
    | ModelEvent
)

AttemptEvent = AttemptStarted | AttemptFinished | AttemptLost
"""What an engine reports."""
