"""What a worker is sent for one attempt, put together at the last moment."""

from __future__ import annotations

from collections.abc import Sequence

from nadg.domain.assignment import Assignment, Code, Job, Merge, Part, Piece, SkillCall
from nadg.domain.blob import INLINE_BYTES, Blobs, FileRef, Value
from nadg.domain.commands import Dispatch
from nadg.domain.errors import UserError
from nadg.domain.plan import PythonWork, SkillWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import SubtaskState
from nadg.domain.tier import Tier
from nadg.orchestrator.pieces import find_file
from nadg.orchestrator.progress import RunProgress, SubtaskProgress
from nadg.orchestrator.values import read_value

INLINE_TOTAL_BYTES = 1 << 20
"""A merge whose parts' inline results exceed this sends them as blobs, to keep its frame small."""


def build_assignment(run: RunProgress, command: Dispatch, inputs: Sequence[FileRef], blobs: Blobs) -> Assignment:
    """Everything for one attempt. Raises UserError where a named artifact was not made."""
    subtask = run.subtasks[command.subtask_id]
    needs = [run.subtasks[need] for need in subtask.spec.needs]
    met = [need for need in needs if need.state is SubtaskState.SUCCEEDED]
    return Assignment(
        attempt_id=command.attempt_id,
        job=_job(subtask.spec),
        piece=_piece(subtask, command.shard_index, blobs),
        inputs=tuple(find_file(run, name, inputs) for name in subtask.spec.inputs),
        needs={need.spec.id: need.result for need in met if need.result is not None},
        needs_files={need.spec.id: need.artifacts for need in met if need.artifacts},
        missing={need.spec.id: f"{need.state}: {need.reason}" for need in needs if need not in met},
        limits=subtask.spec.limits,
        min_tier=demanded_tier(subtask.spec, run.options),
        labels=subtask.spec.labels,
        avoid_workers=command.avoid_workers,
    )


def demanded_tier(subtask: Subtask, options: RunOptions) -> Tier:
    """The stronger of what the run and the subtask ask for."""
    wanted = [options.min_sandbox, subtask.min_sandbox or options.min_sandbox]
    return max(wanted, key=lambda tier: tier.strength)


def _job(subtask: Subtask) -> Job:
    match subtask.work:
        case PythonWork(code=code):
            return Code(code=code)
        case SkillWork(skill=skill, args=args):
            return SkillCall(skill=skill, args=dict(args))
        case _:
            raise UserError(f"{subtask.id}: prompt work needs a language model, and none is configured")


def _piece(subtask: SubtaskProgress, index: int, blobs: Blobs) -> Piece:
    shard = subtask.shards[index]
    if not isinstance(shard.piece, Merge):
        return shard.piece
    parts = [one.part for one in subtask.shards[:index] if one.part is not None]
    inline = sum(len(part.result.inline or b"") for part in parts)
    if inline > INLINE_TOTAL_BYTES:
        parts = [Part(result=_as_blob(part.result, blobs), files=part.files) for part in parts]
    return Merge(parts=tuple(parts))


def _as_blob(value: Value, blobs: Blobs) -> Value:
    if value.blob is not None or len(value.inline or b"") < INLINE_BYTES // 64:
        return value
    writer = blobs.create()
    try:
        writer.write(read_value(value, blobs))
        return Value(blob=writer.commit())
    finally:
        writer.abort()
