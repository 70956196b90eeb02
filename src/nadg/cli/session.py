"""One run from the command line: plan, show the plan, carry it out under watch, show the answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from nadg.bootstrap.asked import ModelWishes, must_wait_for_plan, options_of_run, written_by_model
from nadg.cli.console import create_console
from nadg.cli.failure import FAILED, INTERRUPTED, NothingRun, StoppedAtOnce
from nadg.cli.inputs import check_plan_file, checked_out_folder, default_out_folder, input_files
from nadg.cli.interrupt import Interruption
from nadg.cli.render.answer import answer_renderable, folder_line, verdict
from nadg.cli.render.estimate import estimate_lines
from nadg.cli.render.plan import plan_tree
from nadg.cli.render.usage import usage_line
from nadg.cli.screen import create_screen
from nadg.cli.showing import show_plan
from nadg.cli.watch import ScreenWatcher
from nadg.domain.errors import UserError
from nadg.domain.plan import Plan
from nadg.domain.run import RunOptions, RunRecord
from nadg.domain.states import RunState

if TYPE_CHECKING:
    from rich.console import Console

    from nadg.bootstrap.grid import Grid
    from nadg.bootstrap.planning import PlannedRun
    from nadg.settings import Settings


class Results(Protocol):
    """Who has what came of a run: the grid that carried it out, or what was fetched from a master."""

    async def export(self, run_id: str, folder: Path) -> Path: ...

    def run_document(self, record: RunRecord) -> dict[str, Any]: ...

    async def answer_text(self, record: RunRecord) -> str: ...


REFUSED = "Refused; nothing was run."


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the user typed after `nadg run`."""

    command: str | None = None
    plan_file: Path | None = None
    inputs: tuple[Path, ...] = ()
    out: Path | None = None
    workers: int | None = None
    options: RunOptions = RunOptions()
    wishes: ModelWishes = ModelWishes()
    review: bool = False
    """Show the plan and ask before it runs."""
    yes: bool = False
    """Approved beforehand."""
    follow: tuple[str, ...] = ()
    as_json: bool = False
    quiet: bool = False


def check_source(command: str | None, plan_file: Path | None) -> None:
    """Raises UserError unless there is exactly one of a command in words and a plan file."""
    if command is not None and plan_file is not None:
        raise UserError("give either a command in words or --plan FILE, not both")
    if command is None and plan_file is None:
        raise UserError('say what to do, such as: nadg run "Summarise the reviews" --input reviews.csv')
    if command is not None and not command.strip():
        raise UserError('the command is empty; say what to do, such as "Summarise the reviews"')
    if plan_file is not None:
        check_plan_file(plan_file)


async def carry_out(settings: Settings, request: RunRequest) -> int:
    """The whole of `nadg run`; returns the exit code. Raises UserError before anything is run."""
    check_source(request.command, request.plan_file)
    console = create_console(stderr=True)
    watcher = ScreenWatcher(create_screen(console, quiet=request.quiet), request.follow)
    try:
        return await _carry_out(settings, request, console, watcher)
    except asyncio.CancelledError:
        if watcher.created.is_set():
            raise
        raise NothingRun from None


async def _carry_out(settings: Settings, request: RunRequest, console: Console, watcher: ScreenWatcher) -> int:
    out = checked_out_folder(request.out)
    inputs = input_files(request.inputs)
    from nadg.bootstrap.grid import open_grid

    opening = open_grid(settings, request.wishes, workers=request.workers, notice=watcher.notice)
    async with opening as grid:
        run = await _prepared(grid, request, inputs, settings, console, watcher)
        if run is None:
            print(REFUSED, file=sys.stderr)
            return FAILED
        interruption = Interruption()
        record = await run_watched(grid, run, watcher, interruption)
        await show_result(grid, record, request, out or default_out_folder(record.id))
    return exit_code_of_run(record, interrupted=interruption.asked.is_set())


async def _prepared(
    grid: Grid,
    request: RunRequest,
    inputs: Sequence[Path],
    settings: Settings,
    console: Console,
    watcher: ScreenWatcher,
) -> Coroutine[Any, Any, RunRecord] | None:
    """What carries the request out, from here on; None where the user refused the plan."""
    waits = must_wait_for_plan(review=request.review, yes=request.yes, tier=request.options.min_sandbox)
    if request.command is not None and grid.asks_model_for_plans and not waits:
        return grid.plan_and_run(request.command, inputs, request.options, watcher)
    planned = await grid.plan(request.command, request.plan_file, inputs, watcher.notice)
    check_followed(planned.plan, request.follow)
    approved = await approved_plan(planned, request, settings, console)
    if approved is None:
        return None
    check_followed(approved.plan, request.follow)  # it may have been edited
    by_model = written_by_model(approved.planner)
    return grid.run(approved, options_of_run(request.options, request.wishes, by_model=by_model), watcher)


async def approved_plan(
    planned: PlannedRun, request: RunRequest, settings: Settings, console: Console
) -> PlannedRun | None:
    """The plan that may run, shown and asked about as far as was wished; None where the user refused.

    Raises UserError where somebody would have to be asked, and nobody is there.
    """
    from nadg.bootstrap.review import estimate_of
    from nadg.cli.review import Reviewer, ReviewWishes
    from nadg.cli.terminal import TerminalPerson

    def show(one: PlannedRun) -> None:
        show_plan(console, one, estimate_of(one, settings, request.wishes))

    def say(line: str) -> None:
        console.print(line, soft_wrap=True)

    review = request.review and not (request.yes and request.quiet)  # nobody is asked, and nothing shown
    wishes = ReviewWishes(review=review, yes=request.yes, tier=request.options.min_sandbox)
    reviewer = Reviewer(TerminalPerson(), show, say)
    approved = await reviewer.reviewed(planned, wishes)
    if reviewer.shown is None and not request.quiet:
        console.print(plan_tree(planned.plan, command=planned.command, planner=planned.planner))
        estimate = estimate_of(planned, settings, request.wishes)
        for line in estimate_lines(estimate):
            say(line)
    return approved


def check_followed(plan: Plan, follow: Collection[str]) -> None:
    """Raises UserError where `--follow` names no subtask of the plan."""
    known = [one.id for one in plan.subtasks]
    unknown = [one for one in follow if one not in known]
    if unknown:
        listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        raise UserError(f"--follow: the plan has no subtask {unknown[0]!r}; it has {listed}")


async def run_watched(
    grid: Grid, run: Coroutine[Any, Any, RunRecord], watcher: ScreenWatcher, interruption: Interruption
) -> RunRecord:
    """Run to the end while the screen shows it. The first Ctrl-C asks the run to end, the second kills it."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run)
        running.add_done_callback(lambda _: over.set())
        group.create_task(watcher.tick_until(over))
        cancelling = group.create_task(_cancel_when_asked(grid, watcher, interruption, running))
        running.add_done_callback(lambda _: cancelling.cancel())
        with interruption.listening(running.cancel):
            await asyncio.wait({running})
    if running.cancelled():
        raise StoppedAtOnce if watcher.created.is_set() else NothingRun
    return running.result()


async def _cancel_when_asked(
    grid: Grid, watcher: ScreenWatcher, interruption: Interruption, running: asyncio.Task[RunRecord]
) -> None:
    await interruption.asked.wait()
    if not watcher.created.is_set():
        running.cancel()
        return
    kept = "what is done is kept" + (", answers of models in the cache" if watcher.asks_model else "")
    again = "Press Ctrl-C again to stop at once." if interruption.by_user else "A second signal stops it at once."
    watcher.notice(f"Cancelling: {kept}. {again}")
    await grid.request_cancel(watcher.run_id, interruption.reason)


async def show_result(grid: Results, record: RunRecord, request: RunRequest, out_folder: Path) -> None:
    """The answer, whatever becomes of the files: a full disk shall not take it away. Raises UserError."""
    try:
        folder = await grid.export(record.id, out_folder)
    except UserError:
        await _show_answer(grid, record, request)
        raise
    await _show_answer(grid, record, request)
    if not request.as_json:
        create_console().print(folder_line(folder), soft_wrap=True)


async def _show_answer(grid: Results, record: RunRecord, request: RunRequest) -> None:
    if request.as_json:
        print(json.dumps(grid.run_document(record), indent=2))
        return
    out = create_console()
    out.print(
        answer_renderable(await grid.answer_text(record), terminal=out.is_terminal), soft_wrap=not out.is_terminal
    )
    if not request.quiet:
        console = create_console(stderr=True)
        console.print(verdict(record), soft_wrap=True)
        spent = usage_line(record)
        if spent is not None:
            console.print(spent, soft_wrap=True)


def exit_code_of_run(record: RunRecord, *, interrupted: bool) -> int:
    """0 when it succeeded, 130 when Ctrl-C ended it, 1 otherwise."""
    if record.state is RunState.SUCCEEDED:
        return 0
    return INTERRUPTED if interrupted and record.state is RunState.CANCELLED else FAILED
