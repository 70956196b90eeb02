"""Which files a run needs where it goes on: a master that lacks one of them leaves the run to others."""

from __future__ import annotations

from nadg.domain.run import RunRecord
from nadg.domain.states import AttemptState


def needed_blobs(record: RunRecord) -> dict[str, str]:
    """Inputs, and what was made already: results too large for a row, and artifacts. Each hash with what it is."""
    found = {file.blob.sha256: file.name for file in record.inputs}
    for subtask in record.subtasks:
        values, files = [subtask.result], list(subtask.artifacts)
        for shard in subtask.shards:
            outcomes = [one.outcome for one in shard.attempts if one.state is AttemptState.SUCCEEDED]
            values += [one.result for one in outcomes if one is not None]
            files += [file for one in outcomes if one is not None for file in one.artifacts]
        for value in values:
            if value is not None and value.blob is not None:
                found.setdefault(value.blob.sha256, f"a result of {subtask.id}")
        for file in files:
            found.setdefault(file.blob.sha256, file.name)
    return found
