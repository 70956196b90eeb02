"""`nadg plan`: what would be run, without running it; and the schema of plan files."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nadg.cli.commands.arguments import (
    BudgetTokensOption,
    BudgetUsdOption,
    CommandArgument,
    InputOption,
    JsonOption,
    ModelOption,
    NoAnswersOption,
    PlannerOption,
    PlanOption,
    QuietPlanOption,
)
from nadg.cli.failure import before_a_run
from nadg.domain.errors import UserError

if TYPE_CHECKING:
    from nadg.bootstrap.asked import ModelWishes
    from nadg.domain.plan import Plan
    from nadg.settings import Settings

SaveOption = Annotated[
    Path | None, typer.Option("--save", metavar="FILE", help="Write the plan there (.yaml or .json).")
]


def plan(
    command: CommandArgument = None,
    plan: PlanOption = None,
    inputs: InputOption = None,
    save: SaveOption = None,
    as_json: JsonOption = False,
    planner: PlannerOption = None,
    model: ModelOption = None,
    budget_usd: BudgetUsdOption = None,
    budget_tokens: BudgetTokensOption = None,
    no_cache: NoAnswersOption = False,
    quiet: QuietPlanOption = False,
) -> None:
    """Show the plan that a command or a file gives, with its code and what it may cost; nothing is run.

    `nadg plan schema` prints the JSON Schema of plan files.
    """
    if command == "schema" and plan is None and not inputs:
        print_schema()
        return
    with before_a_run():
        from nadg.cli.configuration import read_settings
        from nadg.cli.wishes import checked_wishes

        settings = read_settings()
        wishes = checked_wishes(
            settings,
            planner=planner,
            model=model,
            budget_usd=budget_usd,
            budget_tokens=budget_tokens,
            no_cache=no_cache,
            from_file=plan is not None,
        )
        showing = _show(settings, wishes, command, plan, tuple(inputs or ()), save, as_json=as_json, quiet=quiet)
        asyncio.run(showing)


def print_schema() -> None:
    """The schema on standard output."""
    from nadg.bootstrap.catalogue import plan_schema

    print(json.dumps(plan_schema(), indent=2))


async def _show(
    settings: Settings,
    wishes: ModelWishes,
    command: str | None,
    plan_file: Path | None,
    inputs: tuple[Path, ...],
    save: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from nadg.cli.console import create_console
    from nadg.cli.inputs import input_files
    from nadg.cli.render.safe import printable
    from nadg.cli.render.usage import calls_line
    from nadg.cli.session import check_source
    from nadg.cli.showing import show_plan

    def notice(text: str) -> None:
        if not quiet:
            print(printable(text, keep_lines=False), file=sys.stderr)

    check_source(command, plan_file)
    files = input_files(inputs)
    from nadg.bootstrap.planning import open_planner
    from nadg.bootstrap.review import estimate_of

    async with open_planner(settings, wishes, notice) as desk:
        planned = await desk.plan(command, plan_file, files)
        spent = calls_line(await desk.calls())
    if save is not None:
        save_plan(planned.plan, save)
    if as_json:
        print(json.dumps(planned.plan.document(), indent=2))
    else:
        console = create_console()
        show_plan(console, planned, estimate_of(planned, settings, wishes))
        if save is not None:
            console.print(f"Saved in {save}; run it with: {run_command(save, inputs)}", soft_wrap=True)
    if spent is not None:
        notice(spent)


def run_command(plan_file: Path, inputs: Sequence[Path]) -> str:
    """What a shell is given to run the saved plan on the same files."""
    words = ["nadg", "run", "--plan", str(plan_file)]
    for one in inputs:
        words += ["--input", str(one)]
    return shlex.join(words)


def save_plan(plan: Plan, file: Path) -> None:
    """Write a plan as the kind of file that its name asks for. Raises UserError."""
    suffix = file.suffix.lower()
    if suffix == ".json":
        text = json.dumps(plan.document(), indent=2, ensure_ascii=False) + "\n"
    elif suffix in (".yaml", ".yml"):
        from nadg.bootstrap.catalogue import plan_text

        text = plan_text(plan)
    else:
        raise UserError(f"--save: {str(file)!r} must end in .yaml, .yml or .json")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--save: cannot write {str(file)!r} ({error.strerror}); name another file") from error
