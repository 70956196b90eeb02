"""What must hold after a run, whatever was done to it: read from its record and its event log alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from nadg.domain.changes import AttemptAdded, AttemptChanged, RunChanged, ShardChanged
from nadg.domain.run import RunRecord
from nadg.domain.states import AttemptState, RunState, ShardState, is_final
from nadg.store import StoredEvent


def faults(record: RunRecord, events: Sequence[StoredEvent]) -> list[str]:
    """Everything that is wrong, a sentence each; empty where nothing is."""
    return [
        *_of_end(record),
        *_of_log(events),
        *_of_shards(record, events),
        *_of_attempts(record, events),
    ]


def _of_end(record: RunRecord) -> Iterator[str]:
    if record.state is not RunState.SUCCEEDED:
        yield f"the run {record.state}: {record.reason}"
    if record.orphaned:
        yield "the run has ended, and still counts as orphaned"


def _of_log(events: Sequence[StoredEvent]) -> Iterator[str]:
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        yield "the event log has holes or repeats numbers"
    terms = [event.term for event in events]
    if terms != sorted(terms):
        yield "an earlier owner wrote after a later one"
    if sum(isinstance(event.change, RunChanged) and is_final(event.change.state) for event in events) != 1:
        yield "the run did not end exactly once"


def _of_shards(record: RunRecord, events: Sequence[StoredEvent]) -> Iterator[str]:
    done = Counter(
        (event.change.subtask_id, event.change.index)
        for event in events
        if isinstance(event.change, ShardChanged) and event.change.state is ShardState.SUCCEEDED
    )
    for subtask in record.subtasks:
        for shard in subtask.shards:
            times = done[subtask.id, shard.index]
            if times != 1 or shard.state is not ShardState.SUCCEEDED:
                yield f"shard {subtask.id}/{shard.index} is {shard.state} and was committed {times} times"
            succeeded = sum(attempt.state is AttemptState.SUCCEEDED for attempt in shard.attempts)
            if succeeded != 1:
                yield f"shard {subtask.id}/{shard.index} has {succeeded} successful attempts"


def _of_attempts(record: RunRecord, events: Sequence[StoredEvent]) -> Iterator[str]:
    added = Counter(event.change.attempt_id for event in events if isinstance(event.change, AttemptAdded))
    ended = Counter(
        event.change.attempt_id
        for event in events
        if isinstance(event.change, AttemptChanged) and is_final(event.change.state)
    )
    yield from (f"attempt {name} was added {times} times" for name, times in added.items() if times != 1)
    yield from (f"attempt {name} ended {times} times" for name, times in ended.items() if times != 1)
    known = {one.id for subtask in record.subtasks for shard in subtask.shards for one in shard.attempts}
    if known != added.keys():
        yield f"{len(known ^ added.keys())} attempts stand in the log or in the record alone"
    if ended.keys() != added.keys():
        yield f"{len(added.keys() - ended.keys())} attempts never ended"
