"""A run that goes on, or is done again from one of its subtasks, from the command line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nadg.cli.console import create_console
from nadg.cli.failure import FAILED, NothingRun
from nadg.cli.inputs import check_plan_file, checked_out_folder, default_out_folder
from nadg.cli.interrupt import Interruption
from nadg.cli.kept import KeptWatcher
from nadg.cli.records import open_records
from nadg.cli.render.plan import plan_tree
from nadg.cli.screen import create_screen
from nadg.cli.session import (
    REFUSED,
    RunRequest,
    check_followed,
    exit_code_of_run,
    run_watched,
    show_result,
)
from nadg.cli.wishes import require_models
from nadg.domain.errors import UserError
from nadg.domain.plan import Plan
from nadg.domain.run import RunRecord
from nadg.domain.states import is_final

if TYPE_CHECKING:
    from rich.console import Console

    from nadg.bootstrap.grid import Grid
    from nadg.bootstrap.planning import PlannedRun
    from nadg.settings import Settings


class Derivation(msgspec.Struct, frozen=True, kw_only=True):
    """Which run goes on, and how."""

    run: str
    """An id, perhaps cut short."""
    from_subtask: str = ""
    """Of a fork; empty: the run is resumed."""
    plan_file: Path | None = None
    edit: bool = False


class Abandoned(Exception):
    """The person gave the edited plan up."""


def check_derivation(asked: Derivation) -> None:
    """Raises UserError where the options contradict each other, or name no file."""
    if asked.plan_file is not None and asked.edit:
        raise UserError("give either --plan FILE or --edit, not both")
    if asked.plan_file is not None:
        check_plan_file(asked.plan_file)


def check_parent(parent: RunRecord, asked: Derivation, lease_seconds: float) -> None:
    """Raises UserError where the run goes on under its master. What else cannot be is told where it is done."""
    if not asked.from_subtask and not is_final(parent.state) and not parent.orphaned:
        raise UserError(
            f"run {parent.id} has not ended, and a master holds it; watch it: `nadg runs attach {parent.id}` "
            f"(a master that was killed gives it up within {lease_seconds:g} s)"
        )


async def carry_out(settings: Settings, asked: Derivation, request: RunRequest) -> int:
    """The whole of `nadg runs resume` and `fork`; returns the exit code. Raises UserError before anything runs."""
    check_derivation(asked)
    console = create_console(stderr=True)
    watcher = KeptWatcher(create_screen(console, quiet=request.quiet), request.follow)
    try:
        return await _carry_out(settings, asked, request, console, watcher)
    except Abandoned:
        print(REFUSED, file=sys.stderr)
        return FAILED
    except asyncio.CancelledError:
        if watcher.created.is_set():
            raise
        raise NothingRun from None


async def _carry_out(
    settings: Settings, asked: Derivation, request: RunRequest, console: Console, watcher: KeptWatcher
) -> int:
    out = checked_out_folder(request.out)
    from nadg.bootstrap.asked import wishes_of_derived
    from nadg.bootstrap.grid import open_grid

    async with open_records(settings) as records:
        parent = await records.run(asked.run)
    check_parent(parent, asked, settings.lease_seconds)
    wishes = wishes_of_derived(parent, request.wishes)
    require_models(settings, wishes)
    opening = open_grid(settings, wishes, workers=request.workers, notice=watcher.notice)
    async with opening as grid:
        run = await _prepared(grid, parent, asked, request, console, watcher)
        interruption = Interruption()
        record = await run_watched(grid, run, watcher, interruption)
        await show_result(grid, record, request, out or default_out_folder(record.id))
    return exit_code_of_run(record, interrupted=interruption.asked.is_set())


async def _prepared(
    grid: Grid, parent: RunRecord, asked: Derivation, request: RunRequest, console: Console, watcher: KeptWatcher
) -> Coroutine[Any, Any, RunRecord]:
    """What carries it out, from here on."""
    from nadg.bootstrap.deriving import DerivationAsked

    if not asked.from_subtask and not is_final(parent.state):
        check_followed(parent.plan, request.follow)
        _show(parent.plan, parent, parent.planner, request, console)
        return grid.take_over(parent, watcher)
    plan = await _plan_of_fork(grid, parent, asked, console, watcher)
    derivation = DerivationAsked(
        from_subtask=asked.from_subtask,
        plan=None if plan is None else plan.plan,
        planner="" if plan is None else plan.planner,
        options=request.options,
    )
    derived = await grid.derive(parent, derivation)
    check_followed(derived.new.plan, request.follow)
    _show(derived.new.plan, parent, derived.new.planner, request, console)
    watcher.keeps_of(parent.id)
    return grid.run_derived(derived, watcher)


def _show(plan: Plan, parent: RunRecord, planner: str, request: RunRequest, console: Console) -> None:
    if not request.quiet:
        console.print(plan_tree(plan, command=parent.command, planner=planner))


async def _plan_of_fork(
    grid: Grid, parent: RunRecord, asked: Derivation, console: Console, watcher: KeptWatcher
) -> PlannedRun | None:
    """The changed plan; None where it is the parent's."""
    if asked.edit:
        return await edited_plan(parent, console)
    if asked.plan_file is None:
        return None
    from nadg.bootstrap.planning import read_plan
    from nadg.bootstrap.remote import fresh_run_id

    given = await asyncio.to_thread(read_plan, asked.plan_file)
    return await grid.plan_taken(parent.command, given, parent.inputs, fresh_run_id(), watcher.notice)


async def edited_plan(parent: RunRecord, console: Console) -> PlannedRun | None:
    """What the person makes of the parent's plan; None where it was left as it was.

    Raises UserError where there is no plan to edit, no editor, or what is wrong with the plan and nobody is there
    to mend it; and Abandoned.
    """
    from nadg.bootstrap.catalogue import plan_of_run
    from nadg.bootstrap.deriving import forked_plan
    from nadg.bootstrap.planning import PlannedRun
    from nadg.cli.review import NothingEdited, Reviewer
    from nadg.cli.terminal import EditorFailed, TerminalPerson

    def say(line: str) -> None:
        console.print(line, soft_wrap=True)

    forked_plan(parent, None)
    planned = PlannedRun(
        command=parent.command, planner=parent.planner, plan=plan_of_run(parent), inputs=parent.inputs
    )
    try:
        edited = await Reviewer(TerminalPerson(), lambda _: None, say).edited(planned)
    except NothingEdited as nothing:
        say(str(nothing))
        return None
    except EditorFailed as error:
        raise UserError(f"--edit: {error}") from error
    if edited is None:
        raise Abandoned
    return edited
