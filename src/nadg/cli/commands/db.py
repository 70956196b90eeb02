"""`nadg db`: the database's tables, and what may be forgotten."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nadg.cli.amounts import days_of
from nadg.cli.commands.arguments import JsonOption

app = typer.Typer(help="The database: its tables, and what may be forgotten.", rich_markup_mode=None)


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
