"""What a worker is sent for one attempt, put together at the last moment."""

from __future__ import annotations

from collections.abc import Sequence

from nadg.domain.assignment import Assignment, Code, Job, Merge, Piece, SkillCall
from nadg.domain.blob import FileRef
from nadg.domain.commands import AdoptAttempt, Dispatch
from nadg.domain.plan import Foreach, PromptWork, SkillWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import SubtaskState
from nadg.domain.tier import Tier, strongest
from nadg.orchestrator.hedge_moves import avoided_workers
from nadg.orchestrator.pieces import find_file
from nadg.orchestrator.progress import RunProgress, SubtaskProgress
from nadg.orchestrator.prompt_parts import PromptAssignment
from nadg.orchestrator.retry import has_tries_left


def build_assignment(
    run: RunProgress, command: Dispatch | AdoptAttempt, inputs: Sequence[FileRef], term: int
) -> Assignment:
    """Everything for one attempt, under a lease of this term. Raises UserError where an artifact was not made."""
    subtask = run.subtasks[command.subtask_id]
    shard = subtask.shards[command.shard_index]
    met, missing = _needs(run, subtask)
    return Assignment(
        attempt_id=command.attempt_id,
        job=_job(subtask),
        piece=piece_of(subtask, command.shard_index),
        inputs=tuple(find_file(run, name, inputs) for name in subtask.spec.inputs),
        needs={need.spec.id: need.result for need in met if need.result is not None},
        needs_files={need.spec.id: need.artifacts for need in met if need.artifacts},
        missing=missing,
        limits=subtask.spec.limits,
        min_tier=demanded_tier(subtask.spec, run.options),
        labels=subtask.spec.labels,
        avoid_workers=command.avoid_workers
        if isinstance(command, Dispatch)
        else avoided_workers(run, shard, command.attempt_id),
        term=term,
    )


def build_prompt(
    run: RunProgress, command: Dispatch | AdoptAttempt, inputs: Sequence[FileRef]
) -> PromptAssignment:
    """The same for prompt work, which no worker is sent. Raises UserError where an artifact was not made.

    What it is repeated over is not among its needs: every question would hold all items.
    """
    subtask = run.subtasks[command.subtask_id]
    assert isinstance(subtask.spec.work, PromptWork)
    listed = _source_of(subtask.spec.foreach)
    shard = subtask.shards[command.shard_index]
    met, missing = _needs(run, subtask)
    return PromptAssignment(
        attempt_id=command.attempt_id,
        subtask_id=subtask.spec.id,
        work=subtask.spec.work,
        piece=piece_of(subtask, command.shard_index),
        inputs=tuple(find_file(run, name, inputs) for name in subtask.spec.inputs),
        needs={need.spec.id: need.result for need in met if need.result is not None and need.spec.id != listed},
        missing=missing,
        tries_left=has_tries_left(run, subtask, shard),
        anew=subtask.spec.id in run.options.anew,
    )


def _source_of(foreach: Foreach | None) -> str | None:
    """The subtask whose results or rows a `foreach` goes over."""
    if foreach is None:
        return None
    return foreach.results_of or (foreach.rows_of or "").partition("/")[0] or None


def _needs(run: RunProgress, subtask: SubtaskProgress) -> tuple[list[SubtaskProgress], dict[str, str]]:
    """The needed subtasks that succeeded, and why others have no result."""
    needs = [run.subtasks[need] for need in subtask.spec.needs]
    met = [need for need in needs if need.state is SubtaskState.SUCCEEDED]
    return met, {need.spec.id: f"{need.state}: {need.reason}" for need in needs if need not in met}


def demanded_tier(subtask: Subtask, options: RunOptions) -> Tier:
    """The stronger of what the run and the subtask ask for."""
    return strongest(options.min_sandbox, subtask.min_sandbox)


def _job(subtask: SubtaskProgress) -> Job:
    match subtask.spec.work:
        case SkillWork(skill=skill, args=args):
            return SkillCall(skill=skill, args=dict(args))
        case _:
            return Code(code=subtask.code)


def piece_of(subtask: SubtaskProgress, index: int) -> Piece:
    """The piece of a shard; of one that merges, with what the shards before it gave."""
    shard = subtask.shards[index]
    if not isinstance(shard.piece, Merge):
        return shard.piece
    merged = subtask.shards[subtask.first_shard : index]
    return Merge(parts=tuple(one.part for one in merged if one.part is not None))
