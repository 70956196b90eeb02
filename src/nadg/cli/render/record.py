"""A stored run in full: how each subtask went, what it used, its files, and the words of code that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from rich.table import Table

from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.tables import plain_table
from nadg.cli.render.units import counted, duration, size
from nadg.domain.assignment import Merge
from nadg.domain.file_names import shown_name
from nadg.domain.outcome import Receipt
from nadg.domain.run import AttemptRecord, RunRecord, SubtaskRecord
from nadg.domain.states import AttemptState, ShardState
from nadg.domain.worker import MASTER

SHOWN_DETAILS = 5
SHOWN_FILES = 50
SHOWN_NOTES = 20


def subtasks_table(record: RunRecord) -> Table:
    """A line for each subtask, from the receipts of its attempts."""
    again = any(reused_shards(one)[0] for one in record.subtasks)
    reused = ("REUSED",) if again else ()
    columns = ("SUBTASK", "STATE", "SHARDS", *reused, "ATTEMPTS", "WORKERS", "CPU", "MEMORY", "SANDBOX", "REASON")
    return plain_table(columns, [_cells(one, again) for one in record.subtasks], folded="REASON")


def _cells(one: SubtaskRecord, with_reused: bool) -> tuple[str, ...]:
    attempts = list(begun_attempts(one))
    receipts = [attempt.outcome.receipt for attempt in attempts if attempt.outcome is not None]
    reused, shards = reused_shards(one)
    told = (f"{reused:,} of {shards:,}" if reused else "–",) if with_reused else ()
    counts = (_shards(one), *told, str(len(attempts)), _workers(attempts))
    return (one.id, str(one.state), *counts, *_used(receipts), one_line(one.reason, 200))


def _workers(attempts: Sequence[AttemptRecord]) -> str:
    """How many; `master` where it did all of it."""
    seen = {attempt.worker for attempt in attempts if attempt.worker}
    return MASTER if seen == {MASTER} else str(len(seen - {MASTER}))


def _shards(one: SubtaskRecord) -> str:
    """How many succeeded, of those that the work was cut into: a merge of their results is none of them."""
    cut = [shard.state for shard in one.shards if not isinstance(shard.piece, Merge)]
    merge = " + merge" if len(cut) < len(one.shards) else ""
    return f"{cut.count(ShardState.SUCCEEDED)}/{len(cut)}{merge}"


def reused_shards(one: SubtaskRecord) -> tuple[int, int]:
    """How many took the outcome of an earlier attempt, and how many there are, without a merge."""
    cut = [shard for shard in one.shards if not isinstance(shard.piece, Merge)]
    return sum(any(attempt.reused for attempt in shard.attempts) for shard in cut), len(cut)


def files_table(record: RunRecord) -> Table | None:
    """The artifacts, a line each whatever they are called; None where there are none."""
    files = ((one.id, file) for one in record.subtasks for file in one.artifacts)
    rows = [(of, size(file.blob.size), shown_name(file.name)) for of, file in islice(files, SHOWN_FILES)]
    more = sum(len(one.artifacts) for one in record.subtasks) - len(rows)
    if more:
        rows.append(("…", "", f"and {counted(more, 'more file')}; --json lists them all"))
    return plain_table(("SUBTASK", "SIZE", "FILE"), rows, folded="FILE") if rows else None


def note_lines(record: RunRecord) -> list[str]:
    """What is to be told of attempts beside how their shards ended, safe to print; each once, with how often."""
    found = Counter((one.id, note) for one in record.subtasks for note in _notes(one))
    lines = [
        f"{subtask}: {one_line(note, 200)}" + (f" ({count} attempts)" if count > 1 else "")
        for (subtask, note), count in found.items()
    ]
    more = len(lines) - SHOWN_NOTES
    return [*lines[:SHOWN_NOTES], *([f"… and {counted(more, 'more note')}"] if more > 0 else [])]


def _notes(subtask: SubtaskRecord) -> Iterator[str]:
    """What workers noted, and which attempts were called off though their shard was not."""
    for shard in subtask.shards:
        for attempt in shard.attempts:
            if attempt.outcome is not None:
                yield from attempt.outcome.notes
            if attempt.state is AttemptState.CANCELLED and shard.state is not ShardState.CANCELLED:
                where = f" on {attempt.worker}" if attempt.worker else ""
                yield f"an attempt{where} was cancelled: {attempt.reason}"


def failure_details(record: RunRecord) -> list[str]:
    """The tracebacks of the users' code, safe to print: the first few attempts that failed."""
    failed = [
        (attempt.id, attempt.outcome.detail)
        for subtask in record.subtasks
        for attempt in attempts_of(subtask)
        if attempt.outcome is not None and attempt.outcome.detail
    ]
    return [f"{name}:\n{printable(detail).rstrip()}" for name, detail in failed[:SHOWN_DETAILS]]


def attempts_of(subtask: SubtaskRecord) -> Iterator[AttemptRecord]:
    """All attempts of a subtask, shard by shard."""
    for shard in subtask.shards:
        yield from shard.attempts


def begun_attempts(subtask: SubtaskRecord) -> Iterator[AttemptRecord]:
    """Those that a worker started: what waited for a slot to the end did nothing and used nothing."""
    return (attempt for attempt in attempts_of(subtask) if attempt.began)


def _used(receipts: list[Receipt]) -> tuple[str, str, str]:
    if not receipts:
        return "–", "–", "–"
    tiers = sorted({"model" if one.sandbox_tier is None else str(one.sandbox_tier) for one in receipts})
    most = max(one.max_rss_bytes for one in receipts)
    return duration(sum(one.cpu_seconds for one in receipts)), size(most), ", ".join(tiers)
