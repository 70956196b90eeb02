"""When a shard is tried again. Only what was not its own fault is: a lost worker, a broken sandbox.

Two things bound it: how often attempts of one shard that had begun were lost, and how many such losses the
whole run has made good. An attempt that was lost before it began says nothing of its shard and costs nothing.
"""

from __future__ import annotations

from nadg.orchestrator.progress import RunProgress, ShardProgress, SubtaskProgress

FREE_RETRIES = 50
"""What a run of any size has, unless its options say otherwise; half of its shards come on top."""
MOST_TRIES = 100
"""Of one shard. What is lost so often before it begins may well be what ends the links it is sent over."""


def gives_up_because(
    run: RunProgress, subtask: SubtaskProgress, shard: ShardProgress, reason: str, *, begun: bool
) -> str | None:
    """Why a shard is not tried again after the loss that was just counted, as one sentence; None where it is."""
    reason = reason or "its worker went away"
    if shard.losses >= subtask.spec.max_attempts:
        return f"lost {_times(shard.losses)}, the last time because {reason}"
    if begun and run.retries >= retry_budget(run):
        spent = f"the retries of this run ({retry_budget(run):,}) are used up (--max-retries)"
        return f"lost {_times(shard.losses)}, the last time because {reason}; not tried again: {spent}"
    if shard.tries >= MOST_TRIES:
        return f"given to workers {shard.tries} times, and lost each time, the last time because {reason}"
    return None


def retry_budget(run: RunProgress) -> int:
    """How many losses of begun attempts the run may make good, all its shards so far together.

    A loss that another attempt under way makes good counts, too, but is never refused.
    """
    if run.options.max_retries is not None:
        return run.options.max_retries
    return FREE_RETRIES + sum(len(subtask.shards) for subtask in run.subtasks.values()) // 2


def has_tries_left(run: RunProgress, subtask: SubtaskProgress, shard: ShardProgress) -> bool:
    """Whether a shard would be tried again if its present attempt were lost."""
    return shard.losses + 1 < subtask.spec.max_attempts and run.retries < retry_budget(run)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
