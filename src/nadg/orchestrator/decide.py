"""What follows from what happened: `(progress, event) -> changes and commands`.

No clock, no I/O, no randomness: the same events in the same order give the same run. Progress is
advanced in place (see `RunProgress`); changes are what must be stored before the commands are carried out.
"""

from __future__ import annotations

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Part
from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final
from nadg.orchestrator.growing import add_subtasks, settle_plan
from nadg.orchestrator.hedge_moves import goes_on_without, hedge, outrun, part
from nadg.orchestrator.mending import give_up_mending, may_mend, mend_shard, take_code
from nadg.orchestrator.moves import (
    Decision,
    add_shards,
    close_subtask,
    dispatch,
    end_attempt,
    end_shard,
    fail_shard,
    fail_subtask,
    move_run,
    move_subtask,
    stop_run,
    try_again,
)
from nadg.orchestrator.progress import RunProgress, ShardProgress, SubtaskProgress
from nadg.orchestrator.resuming import resume

NULL = Value(inline=b"null")


def decide(run: RunProgress, event: ev.Event) -> Decision:
    """Advance `run` by one event. Events about what is over are ignored: they come late, not wrong."""
    made = Decision()
    if run.ended:
        return made
    match event:
        case ev.RunStarted():
            move_run(run, RunState.RUNNING, "", made)
        case ev.RunResumed():
            resume(run, made)
        case ev.ShardsPrepared():
            _shards_prepared(run, event, made)
        case ev.AttemptStarted() | ev.AttemptFinished() | ev.AttemptLost() | ev.AttemptSlow():
            _of_an_attempt(run, event, made)
        case ev.ResultGathered():
            _result_gathered(run, event, made)
        case ev.PrepareFailed() | ev.GatherFailed():
            subtask = run.subtasks[event.subtask_id]
            if not _is_outdated(subtask, event):
                fail_subtask(run, subtask, event.reason, made)
        case ev.CancelRequested():
            stop_run(run, RunState.FAILED if event.failed else RunState.CANCELLED, event.reason, made)
        case _:
            _written_by_a_model(run, event, made)
    _start_ready_subtasks(run, made)
    _dispatch_queued(run, made)
    _end_when_over(run, made)
    return made


def _written_by_a_model(run: RunProgress, event: ev.ModelEvent, made: Decision) -> None:
    match event:
        case ev.SubtasksPlanned(subtasks=subtasks):
            add_subtasks(run, subtasks, made)
        case ev.PlanFinished(plan=plan, planner=planner):
            settle_plan(run, plan, planner, made)
        case ev.PlanningFailed(reason=reason):
            stop_run(run, RunState.FAILED, reason, made)
        case ev.CodeMended():
            take_code(run.subtasks[event.subtask_id], event.of_code, event.code, made)
        case ev.MendingFailed():
            give_up_mending(run, run.subtasks[event.subtask_id], event.of_code, event.reason, made)
        case ev.AnswerComposed(text=text):
            if run.stopping is None:
                move_run(run, RunState.SUCCEEDED, "", made, answer=text)


def _of_an_attempt(run: RunProgress, event: ev.AttemptEvent | ev.AttemptSlow, made: Decision) -> None:
    match event:
        case ev.AttemptStarted():
            _attempt_started(run, event, made)
        case ev.AttemptFinished():
            _attempt_finished(run, event, made)
        case ev.AttemptLost():
            _attempt_lost(run, event, made)
        case ev.AttemptSlow(attempt_id=attempt):
            hedge(run, attempt, made)


def _shards_prepared(run: RunProgress, event: ev.ShardsPrepared, made: Decision) -> None:
    subtask = run.subtasks[event.subtask_id]
    if _is_outdated(subtask, event):
        return
    move_subtask(subtask, SubtaskState.RUNNING, made)
    add_shards(subtask, [ShardProgress(piece=piece) for piece in event.pieces], made)
    if not event.pieces:
        close_subtask(subtask, made)


def _attempt_started(run: RunProgress, event: ev.AttemptStarted, made: Decision) -> None:
    if event.attempt_id in run.in_flight and event.attempt_id not in run.started:
        run.started[event.attempt_id] = event.worker
        made.changes.append(
            ch.AttemptChanged(
                attempt_id=event.attempt_id, state=AttemptState.RUNNING, worker=event.worker, at=event.at
            )
        )


def _attempt_finished(run: RunProgress, event: ev.AttemptFinished, made: Decision) -> None:
    place = run.in_flight.get(event.attempt_id)
    if place is None:
        run.outrun.discard(event.attempt_id)
        return
    outcome = event.outcome
    subtask, index = run.subtasks[place[0]], place[1]
    other = part(run, event.attempt_id)
    called_off = subtask.called_off(index)
    crashed = outcome.kind == "crashed"
    if crashed or (outcome.kind == "cancelled" and not called_off):
        begun = crashed or outcome.receipt.ran or event.attempt_id in run.started
        state = AttemptState.CANCELLED if called_off else AttemptState.LOST
        end_attempt(run, event.attempt_id, state, outcome, outcome.reason, made)
        if other is None:
            try_again(run, subtask, index, outcome.receipt.worker, outcome.reason, made, begun=begun)
        else:
            goes_on_without(run, subtask, index, outcome.receipt.worker, begun=begun)
        return
    states = {"succeeded": AttemptState.SUCCEEDED, "cancelled": AttemptState.CANCELLED}
    end_attempt(
        run, event.attempt_id, states.get(outcome.kind, AttemptState.FAILED), outcome, outcome.reason, made
    )
    if other is not None and outcome.kind == "cancelled":
        return  # the shard ends with the other
    if other is not None:
        outrun(run, other, made)
    if index < subtask.first_shard:
        end_shard(subtask, index, ShardState.CANCELLED, "the subtask was planned anew", made)
    elif outcome.kind == "succeeded":
        _shard_succeeded(subtask, index, outcome, made)
    elif outcome.kind == "cancelled":
        end_shard(subtask, index, ShardState.CANCELLED, outcome.reason, made)
    elif outcome.kind == "failed" and not called_off and may_mend(run, subtask):
        mend_shard(run, subtask, index, outcome, made)
    else:
        fail_shard(run, subtask, index, outcome.reason, made)


def _attempt_lost(run: RunProgress, event: ev.AttemptLost, made: Decision) -> None:
    place = run.in_flight.pop(event.attempt_id, None)
    if place is None:
        run.outrun.discard(event.attempt_id)
        return
    begun = run.started.pop(event.attempt_id, None) is not None
    run.cache_keys.pop(event.attempt_id, None)
    subtask, index = run.subtasks[place[0]], place[1]
    other = part(run, event.attempt_id)
    called_off = subtask.called_off(index)
    made.changes.append(
        ch.AttemptChanged(
            attempt_id=event.attempt_id,
            state=AttemptState.CANCELLED if called_off else AttemptState.LOST,
            worker=event.worker,
            at=event.at,
            reason=event.reason,
        )
    )
    if other is not None:
        goes_on_without(run, subtask, index, event.worker, begun=begun)
    elif event.worker or called_off:
        try_again(run, subtask, index, event.worker, event.reason, made, begun=begun)
    else:  # the engine has waited long enough for a worker that could take it
        fail_shard(run, subtask, index, event.reason, made)


def _result_gathered(run: RunProgress, event: ev.ResultGathered, made: Decision) -> None:
    subtask = run.subtasks[event.subtask_id]
    if _is_outdated(subtask, event):
        return
    subtask.result, subtask.artifacts = event.result, event.artifacts
    move_subtask(subtask, SubtaskState.SUCCEEDED, made)


def _is_outdated(
    subtask: SubtaskProgress, event: ev.ShardsPrepared | ev.PrepareFailed | ev.ResultGathered | ev.GatherFailed
) -> bool:
    """Whether it comes too late: the subtask has ended, or was planned anew since."""
    return is_final(subtask.state) or event.definition != subtask.definition


def _shard_succeeded(subtask: SubtaskProgress, index: int, outcome: Outcome, made: Decision) -> None:
    shard = subtask.shards[index]
    shard.part = Part(result=outcome.result or NULL, files=outcome.artifacts)
    shard.per_item = outcome.per_item
    end_shard(subtask, index, ShardState.SUCCEEDED, "", made)
    if subtask.open_shards == 0 and subtask.state is SubtaskState.RUNNING:
        close_subtask(subtask, made)


def _dispatch_queued(run: RunProgress, made: Decision) -> None:
    """Hand queued shards to the engine, in plan order, while it has room."""
    if run.stopping is not None:
        return
    for subtask in run.subtasks.values():
        while subtask.queued and not subtask.mending and len(run.in_flight) < run.max_in_flight:
            dispatch(run, subtask, subtask.queued.popleft(), made)


def _start_ready_subtasks(run: RunProgress, made: Decision) -> None:
    """Start or skip every waiting subtask whose needs have ended; skipping one may free the next."""
    if run.state is not RunState.RUNNING or run.stopping is not None:
        return
    moved = True
    while moved:
        moved = False
        for subtask in run.subtasks.values():
            if subtask.state is SubtaskState.WAITING and _needs_ended(run, subtask):
                moved = _start_or_skip(run, subtask, made) is SubtaskState.SKIPPED or moved


def _needs_ended(run: RunProgress, subtask: SubtaskProgress) -> bool:
    return all(is_final(run.subtasks[need].state) for need in subtask.spec.needs)


def _start_or_skip(run: RunProgress, subtask: SubtaskProgress, made: Decision) -> SubtaskState:
    needs = [run.subtasks[need] for need in subtask.spec.needs]
    unmet = [need for need in needs if need.state is not SubtaskState.SUCCEEDED]
    if unmet and (not subtask.tolerates_missing or len(unmet) == len(needs)):
        names = ", ".join(need.spec.id for need in unmet)
        move_subtask(subtask, SubtaskState.SKIPPED, made, f"needs {names}, which did not succeed")
        return subtask.state
    move_subtask(subtask, SubtaskState.PREPARING, made)
    made.commands.append(cmd.PrepareShards(subtask_id=subtask.spec.id, definition=subtask.definition))
    return subtask.state


def _end_when_over(run: RunProgress, made: Decision) -> None:
    over = not run.in_flight and all(is_final(subtask.state) for subtask in run.subtasks.values())
    if not over or run.planning or run.ended:
        return
    if run.stopping is not None:
        move_run(run, run.stopping, run.stop_reason, made)
        return
    answer = run.subtasks[run.plan.answer_id]
    if answer.state is SubtaskState.SUCCEEDED and run.options.compose_answer:
        if not run.composing:
            run.composing = True
            made.commands.append(cmd.ComposeAnswer())
    elif answer.state is SubtaskState.SUCCEEDED:
        move_run(run, RunState.SUCCEEDED, "", made)
    else:
        move_run(run, RunState.FAILED, f"{answer.spec.id} {answer.state}: {answer.reason}", made)
