"""What `decide` wants done. The loop carries each out after the changes before it are in store."""

from __future__ import annotations

import msgspec


class PrepareShards(msgspec.Struct, frozen=True, kw_only=True):
    """Find the pieces of a subtask; ends in ShardsPrepared or PrepareFailed."""

    subtask_id: str
    definition: int = 0
    """How often the subtask had been planned anew; the event carries it too."""


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """Hand one attempt to the engine; ends in AttemptFinished or AttemptLost."""

    attempt_id: str
    subtask_id: str
    shard_index: int
    avoid_workers: tuple[str, ...] = ()


class AdoptAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """Take over an attempt that an earlier owner of the run submitted; ends as after `Dispatch`."""

    attempt_id: str
    subtask_id: str
    shard_index: int
    worker: str = ""
    """Which worker began it; empty where none is known to have."""


class CancelAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """Stop an attempt; still ends in AttemptFinished or AttemptLost, which may then be ignored."""

    attempt_id: str


class GatherResult(msgspec.Struct, frozen=True, kw_only=True):
    """Make one result of a subtask's shards; ends in ResultGathered or GatherFailed."""

    subtask_id: str
    definition: int = 0


class MendCode(msgspec.Struct, frozen=True, kw_only=True):
    """Have a model mend code that raised; ends in CodeMended or MendingFailed."""

    subtask_id: str
    code: str
    reason: str
    detail: str
    """The traceback."""


class ComposeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Have a model compose the answer from the results; ends in AnswerComposed."""


Command = PrepareShards | Dispatch | AdoptAttempt | CancelAttempt | GatherResult | MendCode | ComposeAnswer
