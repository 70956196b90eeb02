"""Where a run stands, as `decide` sees it: references and counters, never content."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from nadg.domain.assignment import Part, Piece
from nadg.domain.blob import FileRef, Value
from nadg.domain.plan import Plan, PythonWork, SkillWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.skill import SkillSpec
from nadg.domain.states import RunState, ShardState, SubtaskState, is_final
from nadg.orchestrator.hedging import Durations

DEFAULT_MAX_IN_FLIGHT = 1000
"""Attempts of one run that the engine may hold at a time; the rest wait here, where they cost nothing."""


@dataclass(slots=True)
class ShardProgress:
    """One shard: its piece, its tries, and what its successful try gave."""

    piece: Piece
    state: ShardState = ShardState.QUEUED
    tries: int = 0
    """The number of its last attempt."""
    losses: int = 0
    """How many of them had begun when they were lost, or were given back by a worker that failed at them."""
    current_attempt: str = ""
    lost_workers: tuple[str, ...] = ()
    """Workers that lost an attempt of it, begun or not."""
    part: Part | None = None
    per_item: bool = False
    code_number: int = 0
    """Which code its current attempt runs: 0 the plan's, 1 the first mended one."""


@dataclass(slots=True)
class SubtaskProgress:
    """One subtask: its shards, those that wait for room, and how many have not ended."""

    spec: Subtask
    merges: bool = False
    """Whether its parts are made one by a closing merge shard."""
    tolerates_missing: bool = False
    state: SubtaskState = SubtaskState.WAITING
    reason: str = ""
    shards: list[ShardProgress] = field(default_factory=list)
    queued: deque[int] = field(default_factory=deque)
    open_shards: int = 0
    merge_index: int | None = None
    result: Value | None = None
    artifacts: tuple[FileRef, ...] = ()
    definition: int = 0
    """How often it was planned anew."""
    first_shard: int = 0
    """Shards before this index were made by an earlier definition of the subtask; they count no more."""
    code: str = ""
    """Its python source as it stands, mended or not; empty for other work."""
    code_number: int = 0
    """How often that was mended."""
    mending: bool = False
    """A model writes it anew: nothing of this subtask is dispatched meanwhile. `reason` says what it raised."""
    traceback: str = ""
    """Of what its code raised, while that is being mended."""
    failures: set[str] = field(default_factory=set)
    """What went wrong with earlier code: when it comes again, mending does not help."""

    @property
    def current_shards(self) -> list[ShardProgress]:
        """Those that the present definition made."""
        return self.shards[self.first_shard :] if self.first_shard else self.shards

    def is_like_others(self, index: int) -> bool:
        """Whether this shard does what most do: it is no merge of the others, nor of an earlier definition."""
        return index != self.merge_index and index >= self.first_shard

    def called_off(self, index: int) -> bool:
        """Whether nobody wants the outcome of this shard any more."""
        return index < self.first_shard or is_final(self.state)


@dataclass(slots=True)
class RunProgress:
    """A whole run. `decide` advances it in place: a copy per event would cost shards times events."""

    run_id: str
    plan: Plan
    options: RunOptions
    subtasks: dict[str, SubtaskProgress]
    skills: Mapping[str, SkillSpec] = field(default_factory=dict)
    planning: bool = False
    """More subtasks are to come, so the run cannot end yet by itself."""
    dropped: frozenset[str] = frozenset()
    """Subtasks that were begun and that the finished plan does without."""
    composing: bool = False
    """A model is composing the answer."""
    max_in_flight: int = DEFAULT_MAX_IN_FLIGHT
    state: RunState = RunState.PLANNED
    in_flight: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Attempts at the engine: attempt id to (subtask id, shard index)."""
    started: dict[str, str] = field(default_factory=dict)
    """Those of them that have begun: attempt id to worker."""
    twins: dict[str, str] = field(default_factory=dict)
    """Where two attempts of a shard are under way: each to the other."""
    outrun: set[str] = field(default_factory=set)
    """Attempts that are over because the other one of their shard was quicker; the engine may not know it yet."""
    durations: dict[tuple[str, int], Durations] = field(default_factory=dict)
    """How long attempts take, by subtask and by how often it was planned anew: then it is other work."""
    retries: int = 0
    """How often a shard went on after an attempt of it that had begun was lost; see `retry_budget`."""
    cache_keys: dict[str, str] = field(default_factory=dict)
    """Under which the outcome of an attempt at the engine may serve again; set when it is sent."""
    stopping: RunState | None = None
    """The final state this run is being stopped for, once something decided to stop it."""
    stop_reason: str = ""

    @property
    def ended(self) -> bool:
        return is_final(self.state)

    def learn_duration(self, subtask: SubtaskProgress, index: int, seconds: float) -> None:
        """An attempt of this shard succeeded after so long; kept where others of its subtask are like it."""
        if subtask.is_like_others(index):
            self.durations.setdefault((subtask.spec.id, subtask.definition), Durations()).add(seconds)

    def continues(self, subtask: SubtaskProgress) -> bool:
        """Whether the run goes on when this subtask fails."""
        return self.options.continue_on_failure or subtask.spec.on_failure == "continue"


def create_progress(
    run_id: str,
    plan: Plan,
    options: RunOptions,
    skills: Mapping[str, SkillSpec],
    *,
    planning: bool = False,
    max_in_flight: int = DEFAULT_MAX_IN_FLIGHT,
) -> RunProgress:
    """A run before its first event."""
    return RunProgress(
        run_id=run_id,
        plan=plan,
        options=options,
        subtasks={spec.id: create_subtask(spec, skills) for spec in plan.subtasks},
        skills=skills,
        planning=planning,
        max_in_flight=max_in_flight,
    )


def create_subtask(spec: Subtask, skills: Mapping[str, SkillSpec]) -> SubtaskProgress:
    """A subtask that waits."""
    skill = skills.get(spec.work.skill) if isinstance(spec.work, SkillWork) else None
    return SubtaskProgress(
        spec=spec,
        merges=skill is not None and skill.merges and spec.foreach is not None,
        tolerates_missing=skill is not None and skill.tolerates_missing,
        code=spec.work.code if isinstance(spec.work, PythonWork) else "",
    )
