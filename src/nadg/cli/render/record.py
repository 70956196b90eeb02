"""A stored run in full: how each subtask went, what it used, and the words of code that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.table import Table

from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.tables import plain_table
from nadg.cli.render.units import duration, size
from nadg.domain.outcome import Receipt
from nadg.domain.run import AttemptRecord, RunRecord, SubtaskRecord
from nadg.domain.states import ShardState

SHOWN_DETAILS = 5


def subtasks_table(record: RunRecord) -> Table:
    """A line for each subtask, from the receipts of its attempts."""
    columns = ("SUBTASK", "STATE", "SHARDS", "ATTEMPTS", "WORKERS", "CPU", "MEMORY", "SANDBOX", "REASON")
    return plain_table(columns, [_cells(one) for one in record.subtasks], folded="REASON")


def _cells(one: SubtaskRecord) -> tuple[str, ...]:
    attempts = list(attempts_of(one))
    receipts = [attempt.outcome.receipt for attempt in attempts if attempt.outcome is not None]
    done = sum(shard.state is ShardState.SUCCEEDED for shard in one.shards)
    workers = {attempt.worker for attempt in attempts if attempt.worker}
    counts = (f"{done}/{len(one.shards)}", str(len(attempts)), str(len(workers)))
    return (one.id, str(one.state), *counts, *_used(receipts), one_line(one.reason, 200))


def failure_details(record: RunRecord) -> list[str]:
    """The tracebacks of the users' code, safe to print: the first few attempts that failed."""
    failed = [
        (attempt.id, attempt.outcome.detail)
        for subtask in record.subtasks
        for attempt in attempts_of(subtask)
        if attempt.outcome is not None and attempt.outcome.detail
    ]
    return [f"{name}:\n{printable(detail).rstrip()}" for name, detail in failed[:SHOWN_DETAILS]]


def attempt_notes(record: RunRecord) -> list[str]:
    """What workers had to tell of attempts beside how they ended, safe to print; each once, with how often."""
    found = Counter(
        (subtask.id, note)
        for subtask in record.subtasks
        for attempt in attempts_of(subtask)
        if attempt.outcome is not None
        for note in attempt.outcome.notes
    )
    shown = [
        f"note on {subtask}: {printable(note, keep_lines=False)}" + (f" ({count} attempts)" if count > 1 else "")
        for (subtask, note), count in list(found.items())[:SHOWN_DETAILS]
    ]
    more = len(found) - len(shown)
    return [*shown, f"and {more} more notes; `--json` has them all"] if more > 0 else shown


def attempts_of(subtask: SubtaskRecord) -> Iterator[AttemptRecord]:
    """All attempts of a subtask, shard by shard."""
    for shard in subtask.shards:
        yield from shard.attempts


def _used(receipts: list[Receipt]) -> tuple[str, str, str]:
    if not receipts:
        return "–", "–", "–"
    tiers = sorted({str(one.sandbox_tier) for one in receipts})
    most = max(one.max_rss_bytes for one in receipts)
    return duration(sum(one.cpu_seconds for one in receipts)), size(most), ", ".join(tiers)
