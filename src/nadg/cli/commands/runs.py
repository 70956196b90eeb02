"""`nadg runs`: what was run, and what is running in another terminal."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nadg.cli.commands.arguments import JsonOption, OutOption, RunArgument
from nadg.cli.commands.derive import fork, resume

app = typer.Typer(help="Runs, past and present.", rich_markup_mode=None)

ShowPlanOption = Annotated[
    bool, typer.Option("--plan", help="Print the plan alone, as a plan file: to be saved, changed and forked.")
]


app.command("resume")(resume)
app.command("fork")(fork)


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The latest runs."""
    from nadg.cli import history

    asyncio.run(history.list_runs(limit, as_json))


@app.command("show")
def show(run: RunArgument, as_json: JsonOption = False, plan: ShowPlanOption = False) -> None:
    """A run's plan, how each subtask went, and its answer."""
    from nadg.cli import history

    asyncio.run(history.show_run(run, as_json, plan))


@app.command("cancel")
def cancel(run: RunArgument) -> None:
    """Ask a run to end; whoever carries it out keeps what is done."""
    from nadg.cli import history

    asyncio.run(history.cancel_run(run))


@app.command("attach")
def attach(run: RunArgument, out: OutOption = None) -> None:
    """Watch a run that another terminal started to its answer and files. Ctrl-C stops watching, not the run."""
    from nadg.cli.attach import attach_run

    raise typer.Exit(asyncio.run(attach_run(run, out)))
