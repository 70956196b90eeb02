"""`nadg db`: the database's tables, and what may be forgotten."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nadg.cli.amounts import days_of
from nadg.cli.commands.arguments import JsonOption

app = typer.Typer(help="The database: its tables, and what may be forgotten.", rich_markup_mode=None)


@app.command("upgrade")
def upgrade() -> None:
    """Bring the tables to this version of NADG; all that is stored stays. Masters do so too when they start."""
    from nadg.cli import database

    asyncio.run(database.upgrade())


@app.command("status")
def status(as_json: JsonOption = False) -> None:
    """Which database it is, and the version of its tables. Exit code 1: they need an upgrade."""
    from nadg.cli import database

    raise typer.Exit(database.status(as_json))


@app.command("print")
def print_sql() -> None:
    """Print the SQL that makes all tables in PostgreSQL, for an editor such as Supabase's. Asks no database."""
    from nadg.cli import database

    database.print_sql()


@app.command("prune")
def prune(
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="DAYS", help="Runs that ended so many days ago or earlier are forgotten."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Forget old runs, answers of models that nobody asked for since, and files of no stored run.

    Files in nadg-out are yours and stay.
    """
    from nadg.cli import database

    asyncio.run(database.prune(days_of(older_than), as_json))
