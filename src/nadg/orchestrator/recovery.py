"""Where a run stands, read from what is stored of it, so that another master can go on from there.

All changes of one decision are stored together, so what is read is always a state between two decisions.
What progress holds and no row does is inferred: why a run was being stopped, which code is being mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nadg.domain.assignment import Merge, Part
from nadg.domain.changes import CodeChanged, PlanSettled, ShardsAdded, SubtaskRedefined
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Subtask
from nadg.domain.run import AttemptRecord, RunRecord, ShardRecord, SubtaskRecord
from nadg.domain.skill import SkillSpec
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final
from nadg.orchestrator.decide import NULL
from nadg.orchestrator.hedge_moves import pair_up
from nadg.orchestrator.mending import begin_mending, failure_of
from nadg.orchestrator.progress import RunProgress, ShardProgress, SubtaskProgress, create_progress, create_subtask
from nadg.store.api import StoredEvent


def recovered_progress(
    record: RunRecord, plan_events: Sequence[StoredEvent], skills: Mapping[str, SkillSpec]
) -> RunProgress:
    """The progress of a run as its last owner stored it; feed it `RunResumed`.

    Two things are not exactly as the last owner had them. An attempt in flight counts as one with outdated
    code where its subtask's code was ever mended: what it raises does not count against the present code. What
    raised and waits for room counts as raised by the present one: it is mended, as often as the run allows.
    Where a plan is still written, code mended meanwhile counts as planned so.
    """
    run = create_progress(record.id, record.plan, record.options, skills, planning=record.planning)
    run.state = record.state
    specs = {one.id: one for one in record.plan.subtasks}
    run.subtasks = {one.id: _subtask(run, one, specs[one.id]) for one in record.subtasks}
    _read_plan_events(run, plan_events)
    for one in record.subtasks:
        _fill(run, run.subtasks[one.id], one)
    pair_up(run)
    _infer_stop(run, cancel_requested=record.cancel_requested)
    return run


def _subtask(run: RunProgress, record: SubtaskRecord, spec: Subtask) -> SubtaskProgress:
    subtask = create_subtask(spec, run.skills)
    subtask.state, subtask.reason = record.state, record.reason
    subtask.result, subtask.artifacts = record.result, record.artifacts
    return subtask


def _read_plan_events(run: RunProgress, plan_events: Sequence[StoredEvent]) -> None:
    """Which shards each definition made, how its code was mended, and what the whole plan does without."""
    shards = dict.fromkeys(run.subtasks, 0)
    for event in plan_events:
        match event.change:
            case ShardsAdded(subtask_id=one, first=first, pieces=pieces):
                shards[one] = first + len(pieces)
            case SubtaskRedefined(subtask=planned):
                subtask = run.subtasks[planned.id]
                subtask.definition += 1
                subtask.first_shard = shards[planned.id]
                subtask.code_number = 0
                subtask.failures.clear()
            case CodeChanged(subtask_id=one, number=number, reason=reason):
                run.subtasks[one].code_number = number
                run.subtasks[one].failures.add(failure_of(reason))
            case PlanSettled(dropped=dropped):
                run.dropped = frozenset(dropped)
            case _:
                pass


def _fill(run: RunProgress, subtask: SubtaskProgress, record: SubtaskRecord) -> None:
    """The shards of a subtask, those that wait, and the attempts under way."""
    for shard in record.shards:
        subtask.shards.append(_shard(run, subtask, shard))
    current = range(subtask.first_shard, len(subtask.shards))
    merging = (index for index in current if isinstance(subtask.shards[index].piece, Merge))
    subtask.merge_index = next(merging, None)
    subtask.open_shards = sum(not is_final(subtask.shards[index].state) for index in current)
    if is_final(subtask.state):
        return
    for shard in record.shards:
        _learn_duration(run, subtask, shard)
    subtask.queued.extend(index for index in current if subtask.shards[index].state is ShardState.QUEUED)
    raised = next(_mended(run, subtask, record.shards[subtask.first_shard :]), None)
    if raised is not None:
        begin_mending(subtask, raised)


def _shard(run: RunProgress, subtask: SubtaskProgress, record: ShardRecord) -> ShardProgress:
    shard = ShardProgress(piece=record.piece, state=record.state)
    for attempt in record.attempts:
        shard.tries, shard.current_attempt = attempt.number, attempt.id
        shard.losses += _counts_as_loss(attempt)
        if attempt.state is AttemptState.LOST and attempt.worker and attempt.worker not in shard.lost_workers:
            shard.lost_workers = (*shard.lost_workers, attempt.worker)
        if attempt.state is AttemptState.SUCCEEDED and record.state is ShardState.SUCCEEDED and attempt.outcome:
            shard.part = Part(result=attempt.outcome.result or NULL, files=attempt.outcome.artifacts)
            shard.per_item = attempt.outcome.per_item
        if not is_final(attempt.state):
            run.in_flight[attempt.id] = (subtask.spec.id, record.index)
            shard.code_number = max(0, subtask.code_number - 1)
        if attempt.state is AttemptState.RUNNING:
            run.started[attempt.id] = attempt.worker
    last = _ended_last(record)
    given_up = record.state is ShardState.FAILED and last is not None and _counts_as_loss(last)
    run.retries += shard.losses - given_up
    return shard


def _ended_last(record: ShardRecord) -> AttemptRecord | None:
    """The attempt after whose end a shard waits or failed: of two that ran side by side, that with its reason."""
    ended = [one for one in record.attempts if one.state in (AttemptState.FAILED, AttemptState.LOST)]
    named = (one for one in reversed(ended[-2:]) if one.reason and one.reason in record.reason)
    return next(named, ended[-1] if ended else None)


def _learn_duration(run: RunProgress, subtask: SubtaskProgress, record: ShardRecord) -> None:
    """What takes far longer than this is slow; an outcome that was made for an earlier run says nothing of it."""
    last = record.attempts[-1].outcome if record.attempts else None
    if last is not None and last.kind == "succeeded" and not last.receipt.reused_from:
        seconds = (last.receipt.finished_at - last.receipt.started_at).total_seconds()
        run.learn_duration(subtask, record.index, max(0.0, seconds))


def _counts_as_loss(attempt: AttemptRecord) -> bool:
    """Whether it was lost after it had begun, or a worker said that it had failed at it."""
    crashed = attempt.outcome is not None and attempt.outcome.kind == "crashed"
    return attempt.state is AttemptState.LOST and (attempt.began or crashed)


def _mended(run: RunProgress, subtask: SubtaskProgress, shards: Sequence[ShardRecord]) -> Iterator[Outcome]:
    """What the code raised that was about to be mended: a shard waits for that, and other code never raised it."""
    if subtask.code_number >= run.options.max_repairs:
        return
    for shard in shards:
        ended = _ended_last(shard)
        last = ended.outcome if ended is not None else None
        waits = shard.state is ShardState.QUEUED and last is not None and last.kind == "failed"
        if waits and last is not None and failure_of(last.reason) not in subtask.failures:
            yield last


def _infer_stop(run: RunProgress, *, cancel_requested: bool) -> None:
    """A run in which something was cancelled, or failed for good, was being stopped; it waits for what ran.

    Whoever cancels a run has that noted in store before anything of it is cancelled: without the note the
    run was failing, by its deadline, its budget or the want of a plan.
    """
    if is_final(run.state):
        return
    for subtask in run.subtasks.values():
        if subtask.state is SubtaskState.FAILED and not run.continues(subtask):
            run.stopping, run.stop_reason = RunState.FAILED, f"{subtask.spec.id} failed: {subtask.reason}"
            break
        if subtask.state is SubtaskState.CANCELLED and subtask.spec.id not in run.dropped:
            run.stopping = RunState.CANCELLED if cancel_requested else RunState.FAILED
            run.stop_reason = subtask.reason
    if run.stopping is not None:
        run.planning = False
