"""The moves that decisions are made of: each changes progress by its table and notes the change."""

from __future__ import annotations

from dataclasses import dataclass, field

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain.assignment import Merge
from nadg.domain.errors import IllegalTransition
from nadg.domain.ids import attempt_id
from nadg.domain.outcome import Outcome
from nadg.domain.states import (
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
from nadg.orchestrator.cache_key import key_to_store
from nadg.orchestrator.progress import RunProgress, ShardProgress, SubtaskProgress
from nadg.orchestrator.retry import gives_up_because


@dataclass(slots=True)
class Decision:
    """What changed and what to do, both in order."""

    changes: list[ch.Change] = field(default_factory=list)
    commands: list[cmd.Command] = field(default_factory=list)


def add_shards(subtask: SubtaskProgress, shards: list[ShardProgress], made: Decision) -> None:
    first = len(subtask.shards)
    subtask.shards.extend(shards)
    subtask.queued.extend(range(first, first + len(shards)))
    subtask.open_shards += len(shards)
    made.changes.append(
        ch.ShardsAdded(subtask_id=subtask.spec.id, first=first, pieces=tuple(shard.piece for shard in shards))
    )


def end_attempt(
    run: RunProgress, attempt: str, state: AttemptState, outcome: Outcome, reason: str, made: Decision
) -> None:
    del run.in_flight[attempt]
    run.started.pop(attempt, None)
    receipt, key = outcome.receipt, run.cache_keys.pop(attempt, "")
    made.changes.append(
        ch.AttemptChanged(
            attempt_id=attempt,
            state=state,
            worker=receipt.worker,
            at=receipt.finished_at,
            reason=reason,
            outcome=outcome,
            cache_key=key_to_store(key, state, receipt),
        )
    )


def end_shard(subtask: SubtaskProgress, index: int, state: ShardState, reason: str, made: Decision) -> None:
    move_shard(subtask, index, state, reason, made)
    if index >= subtask.first_shard:
        subtask.open_shards -= 1


def move_shard(subtask: SubtaskProgress, index: int, state: ShardState, reason: str, made: Decision) -> None:
    shard = subtask.shards[index]
    shard.state = require_move(SHARD_MOVES, shard.state, state, f"shard {subtask.spec.id}/{index}")
    made.changes.append(ch.ShardChanged(subtask_id=subtask.spec.id, index=index, state=state, reason=reason))


def dispatch(run: RunProgress, subtask: SubtaskProgress, index: int, made: Decision) -> None:
    shard = subtask.shards[index]
    shard.tries += 1
    shard.code_number = subtask.code_number
    shard.current_attempt = attempt_id(run.run_id, subtask.spec.id, index, shard.tries)
    if shard.current_attempt in run.in_flight:
        raise IllegalTransition(f"attempt {shard.current_attempt} was made twice")
    run.in_flight[shard.current_attempt] = (subtask.spec.id, index)
    made.changes.append(
        ch.AttemptAdded(
            attempt_id=shard.current_attempt, subtask_id=subtask.spec.id, index=index, number=shard.tries
        )
    )
    move_shard(subtask, index, ShardState.RUNNING, "", made)
    made.commands.append(
        cmd.Dispatch(
            attempt_id=shard.current_attempt,
            subtask_id=subtask.spec.id,
            shard_index=index,
            avoid_workers=shard.lost_workers,
        )
    )


def try_again(
    run: RunProgress,
    subtask: SubtaskProgress,
    index: int,
    worker: str,
    reason: str,
    made: Decision,
    *,
    begun: bool,
) -> None:
    """The attempt of a shard was lost; `begun` tells whether that may have been the shard's doing."""
    shard = subtask.shards[index]
    if subtask.called_off(index):
        end_shard(subtask, index, ShardState.CANCELLED, reason, made)
        return
    note_loss(shard, worker, begun=begun)
    given_up = gives_up_because(run, subtask, shard, reason, begun=begun)
    if given_up:
        fail_shard(run, subtask, index, given_up, made)
        return
    run.retries += begun
    move_shard(subtask, index, ShardState.QUEUED, reason, made)
    subtask.queued.appendleft(index)


def note_loss(shard: ShardProgress, worker: str, *, begun: bool) -> None:
    """An attempt of it was lost: the next one goes elsewhere."""
    shard.losses += begun
    if worker and worker not in shard.lost_workers:
        shard.lost_workers = (*shard.lost_workers, worker)


def fail_shard(run: RunProgress, subtask: SubtaskProgress, index: int, reason: str, made: Decision) -> None:
    end_shard(subtask, index, ShardState.FAILED, reason, made)
    if not is_final(subtask.state):
        fail_subtask(run, subtask, reason, made)


def close_subtask(subtask: SubtaskProgress, made: Decision) -> None:
    """All shards succeeded: add the merge shard, or gather."""
    if subtask.merges and subtask.merge_index is None:
        subtask.merge_index = len(subtask.shards)
        add_shards(subtask, [ShardProgress(piece=Merge(parts=()))], made)
        return
    move_subtask(subtask, SubtaskState.CLOSING, made)
    made.commands.append(cmd.GatherResult(subtask_id=subtask.spec.id, definition=subtask.definition))


def fail_subtask(run: RunProgress, subtask: SubtaskProgress, reason: str, made: Decision) -> None:
    end_subtask(run, subtask, SubtaskState.FAILED, reason, made)
    if not run.continues(subtask):
        stop_run(run, RunState.FAILED, f"{subtask.spec.id} failed: {reason}", made)


def end_subtask(
    run: RunProgress, subtask: SubtaskProgress, state: SubtaskState, reason: str, made: Decision
) -> None:
    """End a subtask before its time: queued shards are dropped, running attempts cancelled."""
    move_subtask(subtask, state, made, reason)
    while subtask.queued:
        end_shard(subtask, subtask.queued.popleft(), ShardState.CANCELLED, "", made)
    made.commands.extend(
        cmd.CancelAttempt(attempt_id=attempt)
        for attempt, (subtask_id, _) in run.in_flight.items()
        if subtask_id == subtask.spec.id
    )


def move_subtask(subtask: SubtaskProgress, state: SubtaskState, made: Decision, reason: str = "") -> None:
    subtask.state = require_move(SUBTASK_MOVES, subtask.state, state, f"subtask {subtask.spec.id}")
    subtask.reason = reason
    made.changes.append(
        ch.SubtaskChanged(
            subtask_id=subtask.spec.id,
            state=state,
            reason=reason,
            result=subtask.result,
            artifacts=subtask.artifacts,
        )
    )


def stop_run(run: RunProgress, final: RunState, reason: str, made: Decision) -> None:
    """Begin to end the run: nothing new starts, what runs is cancelled. The first reason stands."""
    if run.stopping is not None:
        return
    run.stopping, run.stop_reason, run.planning = final, reason, False
    for subtask in run.subtasks.values():
        if not is_final(subtask.state):
            end_subtask(run, subtask, SubtaskState.CANCELLED, reason, made)


def move_run(run: RunProgress, state: RunState, reason: str, made: Decision, answer: str = "") -> None:
    run.state = require_move(RUN_MOVES, run.state, state, f"run {run.run_id}")
    made.changes.append(ch.RunChanged(state=state, reason=reason, answer=answer))
