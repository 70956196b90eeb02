"""Lost attempts as people are told of them: which part of the work, where, why, and whether it is tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nadg.cli.progress import SubtaskProgress
from nadg.cli.render.safe import printable
from nadg.domain.changes import AttemptAdded, AttemptChanged, Change
from nadg.domain.ids import parse_attempt_id

SHOWN_LOSSES = 5
"""So many lost attempts of a subtask are told one by one; the rest stand in its last line and in the record."""


class Losses:
    """The lines for one run. A loss is told with what comes next, which says whether the shard is tried again."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._told_next: tuple[str, str, int] | None = None
        """A line, and the subtask and the shard that it is about."""

    def lines_before(self, change: Change | None) -> Iterator[str]:
        """What there is to tell before this change, or now that none comes for a while."""
        if self._told_next is None:
            return
        (line, *shard), self._told_next = self._told_next, None
        again = isinstance(change, AttemptAdded) and [change.subtask_id, change.index] == shard
        yield line + ("; tried again" if again else "")

    def lost(self, change: AttemptChanged, subtask: SubtaskProgress) -> Iterator[str]:
        """One more; the line about it comes later, but for the one that says that there are many."""
        key = parse_attempt_id(change.attempt_id)
        self._counts[key.subtask_id] += 1
        count = self._counts[key.subtask_id]
        if count == SHOWN_LOSSES + 1:
            yield f"! more of {key.subtask_id} was lost; `nadg runs show` tells why"
        elif count <= SHOWN_LOSSES:
            self._told_next = (_line(change, key.shard_index, subtask), key.subtask_id, key.shard_index)


def _line(change: AttemptChanged, index: int, subtask: SubtaskProgress) -> str:
    what = subtask.id
    if index == subtask.merge:
        what = f"the merge of {what}"
    elif subtask.shards_total > 1:
        what = f"shard {index} of {what}"
    where = f" on worker {change.worker}" if change.worker else ""
    why = f" ({change.reason})" if change.reason else ""
    return printable(f"! {what} was lost{where}{why}", keep_lines=False)
