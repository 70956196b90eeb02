"""The table of commands."""

from __future__ import annotations

import typer

from nadg.cli.commands import db, plan, run, runs, skills, up, worker, workers
from nadg.cli.commands.arguments import DebugOption

ABOUT = """Plain words and files in, an answer out, on sandboxed workers.

  nadg run "Analyze the sentiment of customer reviews" --input reviews.csv
"""


def create_app() -> typer.Typer:
    """All commands of `nadg`."""
    app = typer.Typer(
        name="nadg",
        help=ABOUT,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(common)
    app.command("run")(run.run)
    app.command("plan")(plan.plan)
    app.command("up")(up.up)
    app.add_typer(worker.app, name="worker")
    app.add_typer(workers.app, name="workers")
    app.add_typer(runs.app, name="runs")
    app.add_typer(skills.app, name="skills")
    app.add_typer(db.app, name="db")
    app.command("version")(version)
    return app


def common(debug: DebugOption = False) -> None:
    """Options that every command takes."""


def version() -> None:
    """Print the version."""
    from nadg import __version__

    print(f"nadg {__version__}")
