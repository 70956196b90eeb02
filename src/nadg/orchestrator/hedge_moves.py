"""Decisions about two attempts of one shard at a time: when there may be a second, and what the end of one means.

The first outcome of the two counts. The other ends in the same decision, so that nobody waits for a worker
that is slow, or gone without a word; what it still reports is of an attempt that is over, and passed over.
"""

from __future__ import annotations

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain.ids import attempt_id
from nadg.domain.plan import PromptWork
from nadg.domain.states import AttemptState
from nadg.orchestrator.moves import Decision, note_loss
from nadg.orchestrator.progress import RunProgress, ShardProgress, SubtaskProgress
from nadg.orchestrator.retry import has_tries_left

QUICKER = "another attempt of it was quicker"


def may_hedge(run: RunProgress, attempt: str) -> bool:
    """Whether a second attempt may run beside this one.

    Only where the shard would be tried again if this one were lost: with `max_attempts: 1` it never runs twice.
    A model is not asked twice, and beside code that was mended since, other code would run.
    """
    place = run.in_flight.get(attempt)
    if place is None or attempt not in run.started or attempt in run.twins:
        return False
    if not run.options.hedge or run.stopping is not None or len(run.in_flight) >= run.max_in_flight:
        return False
    subtask, index = run.subtasks[place[0]], place[1]
    if isinstance(subtask.spec.work, PromptWork) or subtask.called_off(index) or subtask.mending:
        return False
    shard = subtask.shards[index]
    return shard.code_number == subtask.code_number and has_tries_left(run, subtask, shard)


def hedge(run: RunProgress, attempt: str, made: Decision) -> None:
    """A second attempt of the shard begins, on another worker than the first where there is one."""
    if not may_hedge(run, attempt):
        return
    place = subtask_id, index = run.in_flight[attempt]
    shard = run.subtasks[subtask_id].shards[index]
    shard.tries += 1
    second = shard.current_attempt = attempt_id(run.run_id, subtask_id, index, shard.tries)
    run.in_flight[second] = place
    run.twins[attempt], run.twins[second] = second, attempt
    made.changes.append(
        ch.AttemptAdded(attempt_id=second, subtask_id=subtask_id, index=index, number=shard.tries, hedge=True)
    )
    avoid = avoided_workers(run, shard, second)
    made.commands.append(
        cmd.Dispatch(attempt_id=second, subtask_id=subtask_id, shard_index=index, avoid_workers=avoid)
    )


def avoided_workers(run: RunProgress, shard: ShardProgress, attempt: str) -> tuple[str, ...]:
    """Where this attempt of the shard should not run: on workers that lost it, and where the other one runs."""
    slow = run.started.get(run.twins.get(attempt, ""), "")
    return shard.lost_workers if not slow or slow in shard.lost_workers else (*shard.lost_workers, slow)


def part(run: RunProgress, attempt: str) -> str | None:
    """This attempt has ended: the other one of its shard stands alone now; None where there is no other."""
    other = run.twins.pop(attempt, None)
    if other is not None:
        del run.twins[other]
    return other


def goes_on_without(run: RunProgress, subtask: SubtaskProgress, index: int, worker: str, *, begun: bool) -> None:
    """One of two attempts was lost: the shard is not tried again, for the other is under way."""
    if not subtask.called_off(index):
        note_loss(subtask.shards[index], worker, begun=begun)
        run.retries += begun


def outrun(run: RunProgress, attempt: str, made: Decision) -> None:
    """The other attempt of its shard had an outcome first: this one ends."""
    del run.in_flight[attempt]
    run.outrun.add(attempt)
    run.cache_keys.pop(attempt, None)
    made.changes.append(
        ch.AttemptChanged(
            attempt_id=attempt,
            state=AttemptState.CANCELLED,
            worker=run.started.pop(attempt, ""),
            reason=QUICKER,
        )
    )
    made.commands.append(cmd.CancelAttempt(attempt_id=attempt))


def pair_up(run: RunProgress) -> None:
    """Find the shards with two attempts under way again, in progress that was rebuilt from a record."""
    first: dict[tuple[str, int], str] = {}
    for attempt, place in run.in_flight.items():
        other = first.setdefault(place, attempt)
        if other != attempt:
            run.twins[other], run.twins[attempt] = attempt, other
