"""`nadg run`: words or a plan, and files, to an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from nadg.cli.commands.arguments import (
    CommandArgument,
    InputOption,
    JsonOption,
    PlanOption,
    QuietOption,
    WorkersOption,
)
from nadg.domain.tier import Tier


def run(
    command: CommandArgument = None,
    plan: PlanOption = None,
    inputs: InputOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where the files go. Default: nadg-out/RUN."),
    ] = None,
    workers: WorkersOption = None,
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
            "--min-sandbox", metavar="TIER", help="Weakest sandbox to accept: landlock, namespaces, none."
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
    options = RunOptions(
        timeout_seconds=timeout,
        continue_on_failure=continue_on_failure,
        min_sandbox=min_sandbox or settings.min_sandbox,
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
