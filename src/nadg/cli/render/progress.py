"""A run's progress: one table for a live terminal, or one line for each thing that happened."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nadg.cli.progress import RunProgress, SubtaskProgress
from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.units import counted, duration
from nadg.domain.states import SubtaskState, is_final

MARKS = {
    SubtaskState.WAITING: ("·", "dim"),
    SubtaskState.PREPARING: ("▸", "cyan"),
    SubtaskState.RUNNING: ("▸", "cyan"),
    SubtaskState.CLOSING: ("▸", "cyan"),
    SubtaskState.SUCCEEDED: ("✓", "green"),
    SubtaskState.FAILED: ("✗", "red"),
    SubtaskState.SKIPPED: ("–", "yellow"),
    SubtaskState.CANCELLED: ("–", "yellow"),
}
MAX_ROWS = 20
NARROW_WIDTH = 60
"""Below so many columns there is room for the counts and times, and none for bars and titles."""
TOKENS_WIDTH = 80
"""Below so many columns tokens are left out of the table."""
NAME_WIDTH = 20
"""Columns that the ids of subtasks keep, however narrow the terminal is."""
STARTING = Text("Getting workers ready …", style="dim")


def progress_table(
    progress: RunProgress, now: float, workers_total: int = 0, *, width: int = NARROW_WIDTH
) -> Group:
    """The live table: a row for each subtask, the busiest first where there are too many."""
    shown = visible_subtasks(list(progress.subtasks.values()), MAX_ROWS)
    hidden = len(progress.subtasks) - len(shown)
    more = [f"… and {counted(hidden, 'more subtask')}"] if hidden else []
    below = [
        Text(line, style="dim", no_wrap=True, overflow="ellipsis")  # a line that wraps would make the table jump
        for line in (*more, _footer(progress, now, workers_total))
    ]
    return Group(_rows(shown, now, width), *below)


def _rows(shown: list[SubtaskProgress], now: float, width: int) -> Table:
    narrow = width < NARROW_WIDTH
    table = Table.grid(padding=(0, 2))
    longest = max((len(one.id) for one in shown), default=0)
    table.add_column(no_wrap=True, min_width=min(longest, NAME_WIDTH) + 2)
    if not narrow:
        table.add_column(overflow="ellipsis")  # the first to give way where there is little room
        table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, min_width=max((len(_count(one)) for one in shown), default=0))
    table.add_column(no_wrap=not narrow, overflow="ellipsis")
    for one in shown:
        name, *middle, count, facts = _cells(one, now, tokens=width >= TOKENS_WIDTH)
        table.add_row(name, *([] if narrow else middle), count, facts)
    return table


def visible_subtasks(subtasks: list[SubtaskProgress], limit: int) -> list[SubtaskProgress]:
    """At most `limit` of them, in plan order: failed and running ones before waiting and done ones."""
    if len(subtasks) <= limit:
        return subtasks
    rank = {SubtaskState.FAILED: 0, SubtaskState.RUNNING: 1, SubtaskState.CLOSING: 1, SubtaskState.PREPARING: 1}
    order = sorted(range(len(subtasks)), key=lambda place: (rank.get(subtasks[place].state, 2), place))
    return [subtasks[place] for place in sorted(order[:limit])]


def started_line(one: SubtaskProgress) -> str:
    """Said when a subtask's shards are known and handed out."""
    return f"▸ {one.id}: {_title(one)}, {counted(one.shards_total, 'shard')}"


def ended_line(one: SubtaskProgress, now: float) -> str:
    """Said when a subtask is over: how it went, how long it took, who did it, why it failed."""
    mark = MARKS[one.state][0]
    facts = [
        f"{one.state}",
        *_shard_facts(one),
        *_reuse_facts(one),
        *_worker_facts(one),
        *_token_facts(one),
        *_time_facts(one, now),
    ]
    reason = f": {one_line(one.reason, 300)}" if one.reason else ""
    return f"{mark} {one.id}: {', '.join(facts)}{reason}"


def still_line(progress: RunProgress, now: float) -> str:
    """Said from time to time where there is no live table: what is going on."""
    going = [one for one in progress.subtasks.values() if one.going]
    parts = [f"{one.id} {one.shards_done}/{one.shards_total}" for one in going] or ["waiting"]
    return f"… {duration(progress.seconds(now))}: {', '.join(parts[:6])}"


def output_lines(subtask_id: str, index: int, stream: str, text: str) -> Iterable[str]:
    """What a followed subtask printed, each line with the shard that printed it."""
    mark = "│" if stream == "stdout" else "┃"
    for line in text.splitlines():
        yield f"  {subtask_id}/{index} {mark} {printable(line, keep_lines=False)}"


def _cells(one: SubtaskProgress, now: float, *, tokens: bool) -> tuple[Text | ProgressBar, ...]:
    mark, style = MARKS[one.state]
    title = "" if one.title == one.id else _title(one)
    facts = [
        *_time_facts(one, now),
        *_running_facts(one),
        *_reuse_facts(one),
        *(_token_facts(one) if tokens else []),
    ]
    return (
        Text(f"{mark} {one.id}", style=style),
        Text(title, style="dim" if one.state is SubtaskState.WAITING else "", no_wrap=True, overflow="ellipsis"),
        ProgressBar(total=max(one.shards_total, 1), completed=_filled(one), width=16),
        Text(_count(one), style="dim"),
        Text("  ".join(facts), no_wrap=True, overflow="ellipsis"),
    )


def _count(one: SubtaskProgress) -> str:
    return f"{one.shards_done}/{one.shards_total}" if one.shards_total else ""


def _filled(one: SubtaskProgress) -> int:
    if one.state is SubtaskState.SUCCEEDED:
        return max(one.shards_total, 1)
    return one.shards_done


def _title(one: SubtaskProgress) -> str:
    return one_line(one.title, 44)


def _footer(progress: RunProgress, now: float, workers_total: int) -> str:
    done = sum(one.state is SubtaskState.SUCCEEDED for one in progress.subtasks.values())
    parts = [f"{done}/{counted(len(progress.subtasks), 'subtask')}", duration(progress.seconds(now))]
    if workers_total:
        parts.append(f"{len(progress.workers_in_use())}/{counted(workers_total, 'worker')} in use")
    return " · ".join(parts)


def _shard_facts(one: SubtaskProgress) -> list[str]:
    if one.shards_total <= 1 and not one.shards_failed:
        return []
    merged = ["merged"] if one.merge is not None and one.state is SubtaskState.SUCCEEDED else []
    return [f"{one.shards_done}/{counted(one.shards_total, 'shard')}", *merged]


def _reuse_facts(one: SubtaskProgress) -> list[str]:
    """How much was not done again; without a number where it is all."""
    if one.shards_reused in (0, one.shards_total):
        return ["reused"] if one.shards_reused else []
    return [f"{one.shards_reused:,} of {one.shards_total:,} reused"]


def _worker_facts(one: SubtaskProgress) -> list[str]:
    facts = [counted(len(one.workers), "worker")] if one.workers else []
    if one.lost_attempts:
        facts.append(f"{counted(one.lost_attempts, 'attempt')} lost")
    return [*facts, *_hedge_facts(one)]


def _hedge_facts(one: SubtaskProgress) -> list[str]:
    return [f"{counted(one.hedges, 'slow shard')} tried twice"] if one.hedges else []


def _token_facts(one: SubtaskProgress) -> list[str]:
    return [counted(one.tokens, "token")] if one.tokens else []


def _running_facts(one: SubtaskProgress) -> list[str]:
    if one.running:
        busy = len(one.busy_workers())
        return [f"on {counted(busy, 'worker')}" if busy else "asking a model", *_hedge_facts(one)]
    return _worker_facts(one) if is_final(one.state) else []


def _time_facts(one: SubtaskProgress, now: float) -> list[str]:
    seconds = one.seconds(now)
    return [] if seconds is None else [duration(seconds)]
