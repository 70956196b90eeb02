"""A run and its parts as they stand in store: what lists, answers and `run.json` are made of."""

from __future__ import annotations

import datetime

import msgspec

from nadg.domain.assignment import Piece
from nadg.domain.blob import FileRef, Value
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import Budget, CallRecord, ModelUsage, usage_of
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Plan
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.tier import Tier


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked of this run beside the command."""

    timeout_seconds: float | None = None
    continue_on_failure: bool = False
    """Treat every subtask as `on_failure: continue`."""
    min_sandbox: Tier = Tier.LANDLOCK
    model: str = ""
    """The model that is asked whatever the settings name, or `none`; empty: as the settings say."""
    budget: Budget = Budget()
    """The most that this run may spend on language models."""
    use_cache: bool = True
    """Whether a model's answer or a shard's outcome may be one that was given before."""
    hedge: bool = True
    """Whether a shard that runs far longer than others like it is tried a second time beside the first."""
    max_retries: int | None = None
    """The most shards tried again because of workers, all together; None: half of the shards, and 50."""
    max_repairs: int = 0
    """How often a model may mend the code of a subtask that raised."""
    compose_answer: bool = False
    """Whether a model composes the answer from the results; else it is the answer subtask's own result."""
    anew: tuple[str, ...] = ()
    """Subtasks that take nothing from earlier runs, although it may be the same work: a fork does them again."""
    forked_from: str = ""
    """The subtask from which on a fork does its parent's work again; empty: the run is none."""


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run about to be stored."""

    id: str
    command: str
    planner: str
    """Who made the plan: `builtin`, `file`, or a model's name."""
    plan: Plan
    inputs: tuple[InputFile, ...] = ()
    options: RunOptions = RunOptions()
    planning: bool = False
    """More subtasks are to come: the plan is still being written."""
    parent: str = ""
    """The run whose results this one keeps in part: it resumes or forks that one."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to write to a run: `owner` is a master, `term` grows each time the run changes hands."""

    run_id: str
    owner: str
    term: int


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt as stored."""

    id: str
    number: int
    state: AttemptState
    worker: str = ""
    reason: str = ""
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None
    outcome: Outcome | None = None

    @property
    def began(self) -> bool:
        """Whether a worker started it: not where it was over while it still waited for a slot."""
        return self.started_at is not None

    @property
    def reused(self) -> bool:
        """Whether its outcome is that of an earlier attempt, and nothing ran."""
        return self.outcome is not None and self.outcome.receipt.reused_from != ""


class ShardRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A shard as stored, attempts in order."""

    index: int
    state: ShardState
    piece: Piece
    reason: str = ""
    attempts: tuple[AttemptRecord, ...] = ()


class SubtaskRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A subtask as stored, shards in order."""

    id: str
    state: SubtaskState
    reason: str = ""
    result: Value | None = None
    artifacts: tuple[FileRef, ...] = ()
    shards: tuple[ShardRecord, ...] = ()


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the list of runs."""

    id: str
    command: str
    planner: str
    state: RunState
    reason: str = ""
    created_at: datetime.datetime
    finished_at: datetime.datetime | None = None
    orphaned: bool = False
    """It has not ended, and no master renews its lease: nobody carries it out."""
    subtasks_done: int = 0
    """Those that succeeded."""
    subtasks_total: int = 0
    planning: bool = False
    """Its plan is not whole, or never became so."""
    parent: str = ""
    """The run that this one resumes or forks."""
    forked_from: str = ""
    """The subtask from which on it does its parent's work again; empty where it resumes that, or has none."""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run as stored, whole."""

    id: str
    command: str
    planner: str
    state: RunState
    reason: str
    plan: Plan
    inputs: tuple[InputFile, ...]
    options: RunOptions
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    cancel_requested: bool
    subtasks: tuple[SubtaskRecord, ...]
    orphaned: bool = False
    """It has not ended, and no master renews its lease: nobody carries it out."""
    planning: bool = False
    """Its plan was not whole yet when it last changed; at the end of a run: never became so."""
    answer: str = ""
    """The answer that a model composed, as Markdown; empty where none did."""
    calls: tuple[CallRecord, ...] = ()
    """Requests to language models, in order."""
    parent: str = ""
    """The run that this one resumes or forks."""

    @property
    def usage(self) -> ModelUsage:
        """What the answers of models took, all together; requests whose end is not known are left out."""
        return usage_of(self.calls)
