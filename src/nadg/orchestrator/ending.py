"""How a run is ended by someone who does not carry it out: everything of it that is still open is closed."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from nadg.domain.changes import AttemptChanged, Change, RunChanged, ShardChanged, SubtaskChanged
from nadg.domain.run import RunRecord, SubtaskRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final


def ending_changes(run: RunRecord, reason: str, at: datetime.datetime) -> list[Change]:
    """The changes that cancel what has not ended, innermost first; none where the run has."""
    if is_final(run.state):
        return []
    inner = [change for one in run.subtasks for change in _of_subtask(one, reason, at)]
    return [*inner, RunChanged(state=RunState.CANCELLED, reason=reason)]


def _of_subtask(subtask: SubtaskRecord, reason: str, at: datetime.datetime) -> Iterator[Change]:
    for shard in subtask.shards:
        for attempt in shard.attempts:
            if not is_final(attempt.state):
                yield AttemptChanged(
                    attempt_id=attempt.id, state=AttemptState.LOST, worker=attempt.worker, at=at, reason=reason
                )
        if not is_final(shard.state):
            yield ShardChanged(subtask_id=subtask.id, index=shard.index, state=ShardState.CANCELLED, reason=reason)
    if not is_final(subtask.state):
        yield SubtaskChanged(subtask_id=subtask.id, state=SubtaskState.CANCELLED, reason=reason)
