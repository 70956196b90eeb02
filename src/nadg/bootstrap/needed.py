"""Which files a run needs where it goes on: a master that lacks one of them leaves the run to others."""

from __future__ import annotations

from nadg.domain.run import RunRecord
from nadg.domain.states import AttemptState


def needed_blobs(record: RunRecord) -> frozenset[str]:
    """Inputs, and what was made already: results too large for a row, and artifacts."""
    found = {file.blob.sha256 for file in record.inputs}
    for subtask in record.subtasks:
        values, files = [subtask.result], list(subtask.artifacts)
        for shard in subtask.shards:
            outcomes = [one.outcome for one in shard.attempts if one.state is AttemptState.SUCCEEDED]
            values += [one.result for one in outcomes if one is not None]
            files += [file for one in outcomes if one is not None for file in one.artifacts]
        found |= {value.blob.sha256 for value in values if value is not None and value.blob is not None}
        found |= {file.blob.sha256 for file in files}
    return frozenset(found)
