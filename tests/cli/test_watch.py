"""Watching a run: what reaches the screen, and how a run is interrupted."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable, Coroutine
from typing import cast

import pytest
from rich.console import Console

from nadg.bootstrap.grid import Grid
from nadg.bootstrap.planning import PlannedRun
from nadg.cli.failure import StoppedAtOnce, exit_code_of, first_cause
from nadg.cli.interrupt import Interruption
from nadg.cli.losses import Losses
from nadg.cli.progress import SubtaskProgress
from nadg.cli.screen import LineScreen, LiveScreen, SilentScreen, create_screen
from nadg.cli.session import check_followed, exit_code_of_run, run_watched
from nadg.cli.watch import ScreenWatcher
from nadg.domain.assignment import Whole
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
)
from nadg.domain.clock import SystemClock
from nadg.domain.errors import UserError
from nadg.domain.plan import Plan
from nadg.domain.run import RunOptions, RunRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState

PLAN = Plan.model_validate(
    {"subtasks": [{"id": "one", "title": "The one", "work": {"kind": "python", "code": "result = 1"}}]}
)
PLANNED = PlannedRun(command="x", planner="file", plan=PLAN, inputs=())


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, markup=False, highlight=False)


def written(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


def play(watcher: ScreenWatcher) -> None:
    """A short run in which one attempt is lost."""
    watcher.run_created("r", PLAN)
    before: list[Change] = [
        RunChanged(state=RunState.RUNNING),
        SubtaskChanged(subtask_id="one", state=SubtaskState.PREPARING),
        ShardsAdded(subtask_id="one", first=0, pieces=(Whole(),)),
        SubtaskChanged(subtask_id="one", state=SubtaskState.RUNNING),
        AttemptChanged(attempt_id="r/one/0/1", state=AttemptState.RUNNING, worker="w1"),
        AttemptChanged(attempt_id="r/one/0/1", state=AttemptState.LOST, worker="w1", reason="it\x1b died"),
        AttemptAdded(attempt_id="r/one/0/2", subtask_id="one", index=0, number=2),
        AttemptChanged(attempt_id="r/one/0/2", state=AttemptState.RUNNING, worker="w2"),
    ]
    for change in before:
        watcher.changed("r", change)
    watcher.output("r", "r/one/0/2", "stdout", "seen\nboth\n")
    watcher.output("r", "r/two/0/2", "stdout", "not followed\n")
    watcher.changed("other", RunChanged(state=RunState.FAILED))
    after: list[Change] = [
        AttemptChanged(attempt_id="r/one/0/2", state=AttemptState.SUCCEEDED, worker="w2"),
        ShardChanged(subtask_id="one", index=0, state=ShardState.SUCCEEDED),
        SubtaskChanged(subtask_id="one", state=SubtaskState.SUCCEEDED),
    ]
    for change in after:
        watcher.changed("r", change)
    assert not watcher.ended
    watcher.changed("r", RunChanged(state=RunState.SUCCEEDED))
    assert watcher.ended


def in_loop(make: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(make())


def test_plain_lines_tell_the_story() -> None:
    async def told() -> None:
        where = console(terminal=False)
        play(ScreenWatcher(LineScreen(where), {"one"}))
        lines = written(where).splitlines()
        assert lines[:4] == [
            "▸ one: The one, 1 shard",
            "! one was lost on worker w1 (it\\x1b died); tried again",
            "  one/0 │ seen",
            "  one/0 │ both",
        ]
        assert lines[4].startswith("✓ one: succeeded, 2 workers, 1 attempt lost, ")
        assert len(lines) == 5

    in_loop(told)


def test_a_loss_names_the_shard_and_says_no_more_than_is_known() -> None:
    each = SubtaskProgress(id="each", title="", shards_total=4, merge=4)
    losses = Losses()

    def lost(index: int, then: Change | None, worker: str = "", reason: str = "") -> str:
        change = AttemptChanged(
            attempt_id=f"r/each/{index}/1", state=AttemptState.LOST, worker=worker, reason=reason
        )
        assert list(losses.lost(change, each)) == []
        return "\n".join(losses.lines_before(then))

    again = AttemptAdded(attempt_id="r/each/3/2", subtask_id="each", index=3, number=2)
    assert lost(3, again, worker="w", reason="cut") == "! shard 3 of each was lost on worker w (cut); tried again"
    assert lost(2, again, worker="w") == "! shard 2 of each was lost on worker w"
    assert lost(4, None, reason="cut") == "! the merge of each was lost (cut)"


def test_losses_do_not_flood_the_screen() -> None:
    async def told() -> None:
        where = console(terminal=False)
        watcher = ScreenWatcher(LineScreen(where))
        watcher.run_created("r", PLAN)
        watcher.changed("r", SubtaskChanged(subtask_id="one", state=SubtaskState.RUNNING))
        for number in range(50):
            watcher.changed("r", AttemptChanged(attempt_id=f"r/one/{number}/1", state=AttemptState.LOST))
        assert len(written(where).splitlines()) == 6
        assert written(where).splitlines()[-1] == "! more of one was lost; `nadg runs show` tells why"
        watcher.run_created("r", PLAN)
        watcher.changed("r", SubtaskChanged(subtask_id="one", state=SubtaskState.CANCELLED))
        before = written(where)
        watcher.changed("r", AttemptChanged(attempt_id="r/one/50/1", state=AttemptState.LOST))
        assert written(where) == before, "what was called off is not lost"

    in_loop(told)


def test_a_live_table_ends_with_the_last_state() -> None:
    async def shown() -> None:
        where = console(terminal=True)
        watcher = ScreenWatcher(LiveScreen(where))
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watcher.run_created("r", PLAN)
            group.create_task(watcher.tick_until(over))
            await asyncio.sleep(0)
            play(watcher)
            over.set()
        text = written(where)
        assert "✓ one" in text
        assert text.rstrip().endswith("\x1b[?25h"), "the cursor is shown again"

    in_loop(shown)


def test_the_screen_fits_where_it_writes() -> None:
    assert isinstance(create_screen(console(terminal=True), quiet=False).screen, LiveScreen)
    assert isinstance(create_screen(console(terminal=False), quiet=False).screen, LineScreen)
    assert isinstance(create_screen(console(terminal=True), quiet=True).screen, SilentScreen)


class GoneTerminal(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_outlives_the_terminal_that_shows_it(terminal: bool) -> None:
    async def shown() -> None:
        where = Console(file=GoneTerminal(), width=100, force_terminal=terminal)
        screen = create_screen(where, quiet=False)
        watcher = ScreenWatcher(screen, {"one"})
        over = asyncio.Event()
        over.set()
        play(watcher)
        await watcher.tick_until(over)
        assert watcher.ended
        assert isinstance(screen.screen, SilentScreen)

    in_loop(shown)


def test_following_needs_a_subtask_that_is_there() -> None:
    check_followed(PLAN, ["one"])
    with pytest.raises(UserError, match="no subtask 'two'; it has one"):
        check_followed(PLAN, ["two"])


def record(state: RunState) -> RunRecord:
    now = SystemClock().now()
    return RunRecord(
        id="r",
        command="x",
        planner="file",
        state=state,
        reason="",
        plan=PLAN,
        inputs=(),
        options=RunOptions(),
        created_at=now,
        finished_at=now,
        cancel_requested=False,
        subtasks=(),
    )


def test_exit_codes_of_runs() -> None:
    codes = [exit_code_of_run(record(state), interrupted=True) for state in RunState]
    assert codes == [1, 1, 0, 1, 130]
    assert exit_code_of_run(record(RunState.CANCELLED), interrupted=False) == 1


class EndlessGrid:
    """Runs until it is asked to cancel; `stubborn` ones do not care."""

    def __init__(self, *, stubborn: bool = False, fail: Exception | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.begun = asyncio.Event()
        self.asked_once = asyncio.Event()
        self._cancelled = asyncio.Event()
        self._stubborn, self._fail = stubborn, fail

    async def run(self, planned: PlannedRun, options: RunOptions, watcher: ScreenWatcher) -> RunRecord:
        if self._fail is not None:
            raise self._fail
        watcher.run_created("r", PLAN)
        self.begun.set()
        await self._cancelled.wait()
        return record(RunState.CANCELLED)

    async def request_cancel(self, run_id: str, reason: str) -> None:
        self.asked.append((run_id, reason))
        self.asked_once.set()
        if not self._stubborn:
            self._cancelled.set()


async def interrupted_run(
    grid: EndlessGrid, interruption: Interruption, signals: int, which: signal.Signals = signal.SIGINT
) -> RunRecord:
    watcher = ScreenWatcher(SilentScreen())

    async def interrupt() -> None:
        await grid.begun.wait()
        for _ in range(signals):
            os.kill(os.getpid(), which)
            await grid.asked_once.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(interrupt())
        running = grid.run(PLANNED, RunOptions(), watcher)
        return await run_watched(cast("Grid", grid), running, watcher, interruption)


def test_the_first_ctrl_c_asks_the_run_to_end() -> None:
    async def once() -> None:
        grid, interruption = EndlessGrid(), Interruption()
        ended = await interrupted_run(grid, interruption, 1)
        assert ended.state is RunState.CANCELLED
        assert grid.asked == [("r", "cancelled by the user")]
        assert exit_code_of_run(ended, interrupted=interruption.asked.is_set()) == 130

    in_loop(once)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGHUP])
def test_another_signal_is_told_by_its_name(which: signal.Signals) -> None:
    async def once() -> None:
        grid = EndlessGrid()
        await interrupted_run(grid, Interruption(), 1, which)
        assert grid.asked == [("r", f"cancelled by {which.name}")]

    in_loop(once)


def test_the_second_ctrl_c_stops_waiting() -> None:
    async def twice() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await interrupted_run(EndlessGrid(stubborn=True), Interruption(), 2)
        assert caught.group_contains(StoppedAtOnce)
        assert exit_code_of(first_cause(caught.value)) == 130

    in_loop(twice)


def test_a_refused_run_raises_its_own_error() -> None:
    async def refused() -> None:
        grid, watcher = EndlessGrid(fail=UserError("no worker")), ScreenWatcher(SilentScreen())
        running = grid.run(PLANNED, RunOptions(), watcher)
        with pytest.raises(ExceptionGroup) as caught:
            await run_watched(cast("Grid", grid), running, watcher, Interruption())
        assert caught.group_contains(UserError, match="no worker")

    in_loop(refused)
