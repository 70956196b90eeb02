"""Arguments and options that several commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CommandArgument = Annotated[
    str | None,
    typer.Argument(metavar="COMMAND", help="What to do, in plain words, in quotes.", show_default=False),
]
PlanOption = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="A plan written by hand (YAML or JSON), instead of words."),
]
InputOption = Annotated[
    list[Path] | None,
    typer.Option("--input", "-i", metavar="FILE", help="An input file, or a folder of them. Repeatable."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no plan and no progress.")]
RunWorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        "-w",
        min=0,
        max=1024,
        metavar="N",
        help="Local worker processes, beside registered workers and NADG_WORKER_URLS; 0: only those. "
        "Default: NADG_WORKERS, and none where another worker answers.",
    ),
]
UpWorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", min=1, max=1024, metavar="N", help="Local worker processes. Default: NADG_WORKERS."
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. Works anywhere.")]
