"""Decisions about code that raised: when a model may mend it, and what becomes of its shards meanwhile."""

from __future__ import annotations

import re

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain.outcome import Outcome
from nadg.domain.plan import PythonWork
from nadg.domain.states import ShardState, is_final
from nadg.orchestrator.moves import Decision, end_shard, fail_shard, fail_subtask, move_shard
from nadg.orchestrator.progress import RunProgress, SubtaskProgress

_PLACE = re.compile(r"^(?:item|row) \d+: | \(line \d+\)$")
"""Which item it was, or which line after a change above it, does not make an exception another one."""


def may_mend(run: RunProgress, subtask: SubtaskProgress) -> bool:
    """Whether code of this subtask that raised is for a model to mend, or is being mended already."""
    return isinstance(subtask.spec.work, PythonWork) and run.stopping is None and run.options.max_repairs > 0


def mend_shard(run: RunProgress, subtask: SubtaskProgress, index: int, outcome: Outcome, made: Decision) -> None:
    """An attempt raised: wait for other code, or fail where that was tried often enough or does not help."""
    shard = subtask.shards[index]
    outdated = shard.code_number < subtask.code_number
    if not outdated and not subtask.mending:
        failure = failure_of(outcome.reason)
        if subtask.code_number >= run.options.max_repairs or failure in subtask.failures:
            fail_shard(run, subtask, index, _reason(subtask, outcome.reason), made)
            return
        begin_mending(subtask, outcome)
        made.commands.append(ask_again(subtask))
    move_shard(subtask, index, ShardState.QUEUED, outcome.reason, made)
    subtask.queued.appendleft(index)


def begin_mending(subtask: SubtaskProgress, raised: Outcome) -> None:
    """From now on nothing of it is dispatched, until other code comes or none can."""
    subtask.failures.add(failure_of(raised.reason))
    subtask.mending = True
    subtask.reason, subtask.traceback = raised.reason, raised.detail


def ask_again(subtask: SubtaskProgress) -> cmd.MendCode:
    """What a model is asked while code is being mended."""
    return cmd.MendCode(
        subtask_id=subtask.spec.id, code=subtask.code, reason=subtask.reason, detail=subtask.traceback
    )


def failure_of(reason: str) -> str:
    """What went wrong, wherever it did: equal ones are the same failure."""
    return _PLACE.sub("", reason)


def take_code(subtask: SubtaskProgress, of_code: str, code: str, made: Decision) -> None:
    """Go on with other code; what succeeded with the old one stays."""
    if not _awaits(subtask, of_code):
        return
    subtask.code, subtask.mending = code, False
    subtask.code_number += 1
    made.changes.append(
        ch.CodeChanged(subtask_id=subtask.spec.id, code=code, number=subtask.code_number, reason=subtask.reason)
    )
    subtask.reason = subtask.traceback = ""


def give_up_mending(run: RunProgress, subtask: SubtaskProgress, of_code: str, reason: str, made: Decision) -> None:
    """No other code came: the subtask fails with what its code raised."""
    if not _awaits(subtask, of_code):
        return
    subtask.mending = False
    raised = subtask.reason
    while subtask.queued:
        end_shard(subtask, subtask.queued.popleft(), ShardState.CANCELLED, raised, made)
    fail_subtask(run, subtask, f"{raised} (its code could not be mended: {reason})", made)


def _awaits(subtask: SubtaskProgress, of_code: str) -> bool:
    """Whether code in place of this one is still of use: not where the subtask ended, or was planned anew."""
    return subtask.mending and subtask.code == of_code and not is_final(subtask.state)


def _reason(subtask: SubtaskProgress, raised: str) -> str:
    if not subtask.code_number:
        return raised
    times = "once" if subtask.code_number == 1 else f"{subtask.code_number} times"
    return f"{raised} (its code was mended {times})"
