"""The states of a run, a subtask, a shard and an attempt, and every legal move between them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

from nadg.domain.errors import IllegalTransition


class RunState(enum.StrEnum):
    """`planned` until its owner starts it; the last three are final."""

    PLANNED = "planned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SubtaskState(enum.StrEnum):
    """`waiting` for its needs; `preparing` its shards; `running` them; `closing`: gathering their results."""

    WAITING = "waiting"
    PREPARING = "preparing"
    RUNNING = "running"
    CLOSING = "closing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Something it needs did not succeed."""
    CANCELLED = "cancelled"


class ShardState(enum.StrEnum):
    """`queued`: waits for room or for another try; `running`: has a current attempt."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(enum.StrEnum):
    """`queued` at the engine; `running` on a worker; `lost`: the worker or sandbox failed it, not its code."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"


RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    RunState.PLANNED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}
_ENDED_SUBTASK = frozenset({SubtaskState.FAILED, SubtaskState.CANCELLED})
SUBTASK_MOVES: Mapping[SubtaskState, frozenset[SubtaskState]] = {
    SubtaskState.WAITING: frozenset({SubtaskState.PREPARING, SubtaskState.SKIPPED, SubtaskState.CANCELLED}),
    SubtaskState.PREPARING: _ENDED_SUBTASK | {SubtaskState.RUNNING},
    SubtaskState.RUNNING: _ENDED_SUBTASK | {SubtaskState.CLOSING},
    SubtaskState.CLOSING: _ENDED_SUBTASK | {SubtaskState.SUCCEEDED},
    SubtaskState.SUCCEEDED: frozenset(),
    SubtaskState.FAILED: frozenset(),
    SubtaskState.SKIPPED: frozenset(),
    SubtaskState.CANCELLED: frozenset(),
}
SHARD_MOVES: Mapping[ShardState, frozenset[ShardState]] = {
    ShardState.QUEUED: frozenset({ShardState.RUNNING, ShardState.CANCELLED}),
    ShardState.RUNNING: frozenset(
        {ShardState.QUEUED, ShardState.SUCCEEDED, ShardState.FAILED, ShardState.CANCELLED}
    ),
    ShardState.SUCCEEDED: frozenset(),
    ShardState.FAILED: frozenset(),
    ShardState.CANCELLED: frozenset(),
}
_ENDED_ATTEMPT = frozenset(
    {AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.LOST, AttemptState.CANCELLED}
)
ATTEMPT_MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.QUEUED: _ENDED_ATTEMPT | {AttemptState.RUNNING},
    AttemptState.RUNNING: _ENDED_ATTEMPT,
    AttemptState.SUCCEEDED: frozenset(),
    AttemptState.FAILED: frozenset(),
    AttemptState.LOST: frozenset(),
    AttemptState.CANCELLED: frozenset(),
}

AnyState = TypeVar("AnyState", RunState, SubtaskState, ShardState, AttemptState)


def require_move(
    moves: Mapping[AnyState, frozenset[AnyState]], old: AnyState, new: AnyState, what: str
) -> AnyState:
    """Return `new` where the table allows the move. Raises IllegalTransition, naming `what`, where not."""
    if new not in moves[old]:
        raise IllegalTransition(f"{what}: {old} -> {new} is not a legal move")
    return new


def is_final(state: RunState | SubtaskState | ShardState | AttemptState) -> bool:
    """Whether nothing can follow this state."""
    match state:
        case RunState():
            return not RUN_MOVES[state]
        case SubtaskState():
            return not SUBTASK_MOVES[state]
        case ShardState():
            return not SHARD_MOVES[state]
        case AttemptState():
            return not ATTEMPT_MOVES[state]
