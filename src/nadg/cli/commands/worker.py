"""`nadg worker`: this machine as a worker node, and what it can enforce."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from nadg.cli.commands.arguments import JsonOption

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def worker(
    context: typer.Context,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than loopback need a token.")
    ] = ("127.0.0.1"),
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: a free one.")
    ] = 7860,
    slots: Annotated[
        int | None, typer.Option("--slots", min=1, max=1024, help="Attempts at a time. Default: one per core.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Unique on its grid. Default: host and port.")] = "",
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="LABEL", help="What it can do, such as gpu. Repeatable.")
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="The most that an attempt may use. Repeatable."),
    ] = None,
    sandbox: Annotated[
        Literal["auto", "namespaces", "landlock", "none"],
        typer.Option("--sandbox", help="Sandbox tier to enforce."),
    ] = "auto",
    allow_unsafe_none: Annotated[
        bool,
        typer.Option("--allow-unsafe-none", help="Run code without kernel isolation. Only for your own code."),
    ] = False,
) -> None:
    """Be a worker node: run sandboxed attempts for a master.

    The master connects here; register this worker there with `nadg workers add URL`.
    """
    if context.invoked_subcommand is not None:
        return
    from nadg.bootstrap.worker import serve_worker
    from nadg.cli.configuration import read_settings

    serve_worker(
        read_settings(),
        host=host,
        port=port,
        slots=slots,
        name=name,
        labels=tuple(labels or ()),
        limits=tuple(limits or ()),
        sandbox=sandbox,
        allow_unsafe_none=allow_unsafe_none,
    )


@app.command("doctor")
def doctor(as_json: JsonOption = False) -> None:
    """Show what this machine can enforce, what it cannot, and how to get a better sandbox.

    Every tier is tried for real. Exit code: 0 where one isolates, 1 where only `none` is left.
    """
    from nadg.cli.checkup import check_up

    raise typer.Exit(asyncio.run(check_up(as_json)))
