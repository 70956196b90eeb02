"""The first decision of a new owner: everything that the last one had asked for and not heard of is asked again.

What is stored stands between two decisions; the commands that followed the last of them are lost, as is all
that was on its way to the last owner.
"""

from __future__ import annotations

from nadg.domain import commands as cmd
from nadg.domain.states import RunState, ShardState, SubtaskState
from nadg.orchestrator.mending import ask_again
from nadg.orchestrator.moves import Decision, close_subtask, move_run
from nadg.orchestrator.progress import RunProgress, SubtaskProgress


def resume(run: RunProgress, made: Decision) -> None:
    """Ask for shards, results and other code where they are awaited, and take over what is in flight."""
    if run.state is RunState.PLANNED:
        move_run(run, RunState.RUNNING, "", made)
    for subtask in run.subtasks.values():
        _ask_again(subtask, made)
    for attempt, (subtask_id, index) in run.in_flight.items():
        made.commands.append(
            cmd.AdoptAttempt(
                attempt_id=attempt,
                subtask_id=subtask_id,
                shard_index=index,
                worker=run.started.get(attempt, ""),
            )
        )
        if not _is_wanted(run.subtasks[subtask_id], index):
            made.commands.append(cmd.CancelAttempt(attempt_id=attempt))


def _ask_again(subtask: SubtaskProgress, made: Decision) -> None:
    match subtask.state:
        case SubtaskState.PREPARING:
            made.commands.append(cmd.PrepareShards(subtask_id=subtask.spec.id, definition=subtask.definition))
        case SubtaskState.CLOSING:
            made.commands.append(cmd.GatherResult(subtask_id=subtask.spec.id, definition=subtask.definition))
        case SubtaskState.RUNNING if subtask.mending:
            made.commands.append(ask_again(subtask))
        case SubtaskState.RUNNING if not subtask.open_shards:  # kept from a run that was stopped right then
            close_subtask(subtask, made)
        case _:
            pass


def _is_wanted(subtask: SubtaskProgress, index: int) -> bool:
    return not subtask.called_off(index) and subtask.shards[index].state is ShardState.RUNNING
