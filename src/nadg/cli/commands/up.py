"""`nadg up` and `nadg worker`: the processes that stay."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from nadg.cli.commands.arguments import WorkersOption


def up(workers: WorkersOption = None) -> None:
    """Start local workers and keep them until Ctrl-C.

    Every `nadg run` meanwhile uses them instead of starting its own.
    """
    from nadg.cli.configuration import read_settings
    from nadg.cli.grid import keep_grid

    asyncio.run(keep_grid(read_settings(), workers))


def worker(
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
    sandbox: Annotated[
        Literal["auto", "landlock", "none"], typer.Option("--sandbox", help="Sandbox tier to enforce.")
    ] = "auto",
    allow_unsafe_none: Annotated[
        bool,
        typer.Option("--allow-unsafe-none", help="Run code without kernel isolation. Only for your own code."),
    ] = False,
) -> None:
    """Be a worker node: run sandboxed attempts for a master.

    The master connects here; register this worker there with `nadg workers add URL`.
    """
    from nadg.bootstrap.worker import serve_worker
    from nadg.cli.configuration import read_settings

    serve_worker(
        read_settings(),
        host=host,
        port=port,
        slots=slots,
        name=name,
        labels=tuple(labels or ()),
        sandbox=sandbox,
        allow_unsafe_none=allow_unsafe_none,
    )
