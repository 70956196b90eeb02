"""The last state of the table: what was done, and how long it took by the times of what happened."""

from __future__ import annotations

import asyncio
import datetime
import io

from rich.console import Console

from nadg.cli.progress import RunProgress
from nadg.cli.render.progress import progress_table
from nadg.cli.screen import LiveScreen
from nadg.cli.watch import ScreenWatcher
from nadg.domain.assignment import Whole
from nadg.domain.changes import AttemptChanged, Change, RunChanged, ShardsAdded, SubtaskChanged
from nadg.domain.plan import Plan
from nadg.domain.states import AttemptState, RunState, SubtaskState

WORK = {"kind": "python", "code": "result = 1"}
PLAN = Plan.model_validate({"subtasks": [{"id": name, "work": WORK} for name in ("a", "b")]})
CALLED_OFF: tuple[Change, ...] = (
    SubtaskChanged(subtask_id="a", state=SubtaskState.CANCELLED),
    SubtaskChanged(subtask_id="b", state=SubtaskState.SKIPPED),
    RunChanged(state=RunState.CANCELLED),
)


def terminal() -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=True, markup=False, highlight=False)


def written(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


def test_what_was_called_off_was_not_done() -> None:
    progress = RunProgress("r", PLAN, 0.0)
    for change in CALLED_OFF:
        progress.apply(change, 3.0)
    where = terminal()
    where.print(progress_table(progress, 99.0))
    assert "0/2 subtasks · 3.0 s" in written(where)


def test_a_run_that_was_shows_the_times_that_it_took() -> None:
    begun = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def after(seconds: float) -> datetime.datetime:
        return begun + datetime.timedelta(seconds=seconds)

    async def shown() -> str:
        where = terminal()
        watcher = ScreenWatcher(LiveScreen(where))
        watcher.run_created("r", PLAN, begun)
        watcher.changed("r", ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),)), after(1))
        for seconds, state in ((2, AttemptState.RUNNING), (7, AttemptState.SUCCEEDED)):
            watcher.changed("r", AttemptChanged(attempt_id="r/a/0/1", state=state, worker="w"), after(seconds))
        watcher.changed("r", SubtaskChanged(subtask_id="a", state=SubtaskState.SUCCEEDED), after(8))
        watcher.changed("r", RunChanged(state=RunState.FAILED), after(9))
        over = asyncio.Event()
        over.set()
        await watcher.tick_until(over)
        return written(where)

    text = asyncio.run(shown())
    assert "1/2 subtasks · 9.0 s" in text
    assert "1 worker" in text
    assert "5.0 s" in text


def test_no_workers_are_made_ready_here_for_a_run_elsewhere() -> None:
    async def drawn(*, elsewhere: bool) -> str:
        where = terminal()
        over = asyncio.Event()
        over.set()
        await ScreenWatcher(LiveScreen(where), elsewhere=elsewhere).tick_until(over)
        return written(where)

    assert "Getting workers ready" in asyncio.run(drawn(elsewhere=False))
    assert asyncio.run(drawn(elsewhere=True)) == ""
