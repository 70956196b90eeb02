"""`nadg run`: words or a plan, and files, to an answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from nadg.cli.commands.arguments import (
    CommandArgument,
    InputOption,
    JsonOption,
    PlanOption,
    QuietOption,
    RunWorkersOption,
)
from nadg.domain.errors import UserError
from nadg.domain.tier import Tier, strongest


def run(
    command: CommandArgument = None,
    plan: PlanOption = None,
    inputs: InputOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where the files go. Default: nadg-out/RUN."),
    ] = None,
    workers: RunWorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0.001, metavar="SECONDS", help="Fail the run after so long."),
    ] = None,
    continue_on_failure: Annotated[
        bool, typer.Option("--continue-on-failure", help="Let the rest go on when a subtask fails.")
    ] = False,
    follow: Annotated[
        list[str] | None,
        typer.Option("--follow", metavar="SUBTASK", help="Show what this subtask prints. Repeatable."),
    ] = None,
    min_sandbox: Annotated[
        Tier | None,
        typer.Option(
            "--min-sandbox",
            metavar="TIER",
            help="Weakest sandbox to accept: landlock, namespaces, none; never below NADG_MIN_SANDBOX.",
        ),
    ] = None,
) -> None:
    """Plan a command, run it on the grid, and show the answer.

    The answer goes to standard output, the plan and the progress to standard error. Exit code: 0 done,
    1 failed, 2 bad request, 130 cancelled by Ctrl-C (once: cleanly, what is done is kept; twice: at once).
    """
    from nadg.cli.configuration import read_settings
    from nadg.cli.session import RunRequest, carry_out
    from nadg.domain.run import RunOptions

    settings = read_settings()
    tier = tier_of_run(min_sandbox, settings.min_sandbox)
    _tell_what_stays(min_sandbox, tier, quiet)
    options = RunOptions(
        timeout_seconds=timeout,
        continue_on_failure=continue_on_failure,
        min_sandbox=tier,
    )
    request = RunRequest(
        command=command,
        plan_file=plan,
        inputs=tuple(inputs or ()),
        out=out,
        workers=workers,
        options=options,
        follow=tuple(follow or ()),
        as_json=as_json,
        quiet=quiet,
    )
    raise typer.Exit(asyncio.run(carry_out(settings, request)))


def tier_of_run(asked: Tier | None, policy: Tier) -> Tier:
    """The stronger of what the option and the settings demand.

    Raises UserError where the option would switch isolation off and the settings do not.
    """
    if asked is Tier.NONE and policy is not Tier.NONE:
        raise UserError(
            f"--min-sandbox none: NADG_MIN_SANDBOX demands {policy}; "
            "set NADG_MIN_SANDBOX=none to accept workers that isolate nothing, for code that you wrote yourself"
        )
    return strongest(asked, policy)


def _tell_what_stays(asked: Tier | None, tier: Tier, quiet: bool) -> None:
    if asked not in (None, tier) and not quiet:
        print(f"--min-sandbox {asked}: NADG_MIN_SANDBOX demands {tier}, which stays", file=sys.stderr)
