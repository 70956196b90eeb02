"""`nadg workers`: the registry of worker nodes."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nadg.cli.commands.arguments import JsonOption
from nadg.domain.worker import WorkerStatus

app = typer.Typer(help="The workers that this grid knows.", rich_markup_mode=None)

UrlArgument = Annotated[
    str, typer.Argument(metavar="URL", help="Where the worker listens, such as http://host:7860.")
]
WorkerArgument = Annotated[str, typer.Argument(metavar="WORKER", help="A worker's id, name or URL.")]


WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="A reason for others to read.")]


@app.command("list")
def list_workers(as_json: JsonOption = False) -> None:
    """Every worker, with its status."""
    from nadg.cli import registry

    asyncio.run(registry.list_workers(as_json))


@app.command("add")
def add(
    url: UrlArgument,
    name: Annotated[str, typer.Option("--name", help="Its id here; by default one is made.")] = "",
) -> None:
    """Register a worker; runs use it from now on. The same URL again changes nothing."""
    from nadg.cli import registry

    asyncio.run(registry.add_worker(url, name))


@app.command("remove")
def remove(worker: WorkerArgument) -> None:
    """Forget a worker."""
    from nadg.cli import registry

    asyncio.run(registry.remove_worker(worker))


@app.command("drain")
def drain(worker: WorkerArgument, why: WhyOption = "") -> None:
    """Give a worker nothing new; what runs there ends normally. Every master sees it within seconds."""
    from nadg.cli import registry

    asyncio.run(registry.set_worker_status(worker, WorkerStatus.DRAINING, why))


@app.command("undrain")
def undrain(worker: WorkerArgument) -> None:
    """Use a worker again that was drained or set offline by hand."""
    from nadg.cli import registry

    asyncio.run(registry.undrain_worker(worker))


@app.command("status")
def status(
    worker: WorkerArgument,
    state: Annotated[WorkerStatus, typer.Argument(help="Its new status.")],
    why: WhyOption = "",
) -> None:
    """Set a worker's status; `offline` takes it out of use."""
    from nadg.cli import registry

    asyncio.run(registry.set_worker_status(worker, state, why))


@app.command("test")
def test(url: UrlArgument) -> None:
    """Open a link to a worker and show what it says of itself."""
    from nadg.cli import registry

    asyncio.run(registry.test_worker(url))
