"""The end of a run: the answer, how it went, and where its files are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from nadg.cli.render.record import begun_attempts, reused_shards
from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.units import counted, duration
from nadg.domain.run import RunRecord
from nadg.domain.states import RunState, SubtaskState
from nadg.domain.worker import MASTER

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {RunState.SUCCEEDED: "green", RunState.FAILED: "red", RunState.CANCELLED: "yellow"}


def answer_renderable(markdown: str, *, terminal: bool) -> RenderableType:
    """The answer: laid out on a terminal, as the Markdown it is anywhere else."""
    text = printable(markdown)
    if not terminal:
        return Text(text)
    from nadg.cli.render.pictures import answer_layout

    return answer_layout(text)


def verdict(record: RunRecord) -> Text:
    """One line: how the run ended, how long it took, how much it did."""
    seconds = (record.finished_at - record.created_at).total_seconds() if record.finished_at else None
    done = sum(one.state is SubtaskState.SUCCEEDED for one in record.subtasks)
    total = counted(len(record.subtasks), "subtask")
    facts = [f"{done} of {total} done" + (", and its plan was not finished" if record.planning else "")]
    attempts = [one for of in record.subtasks for one in begun_attempts(of) if one.worker != MASTER]
    workers = {attempt.worker for attempt in attempts if attempt.worker}
    if workers:
        facts.append(f"{counted(len(attempts), 'attempt')} on {counted(len(workers), 'worker')}")
    reused = [reused_shards(one) for one in record.subtasks]
    if any(some for some, _ in reused):
        facts.append(
            f"{sum(some for some, _ in reused):,} of {counted(sum(of for _, of in reused), 'shard')} reused"
        )
    if seconds is not None:
        facts.append(duration(seconds))
    told = "its master is gone and nobody carries it out" if record.orphaned else record.reason
    reason = f" ({one_line(told, 300)})" if told else ""
    return Text(f"Run {record.id} {record.state}{reason}: {', '.join(facts)}", style=STYLES.get(record.state, ""))


def folder_line(folder: Path) -> str:
    """Where the answer, the artifacts and the record are."""
    return f"Files: {printable(str(folder), keep_lines=False)}/ (answer.md, artifacts/, run.json)"
