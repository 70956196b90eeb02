"""Arguments and options that several commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nadg.cli.amounts import repairs_of, tokens_of, usd_of
from nadg.domain.tier import Tier

CommandArgument = Annotated[
    str | None,
    typer.Argument(metavar="COMMAND", help="What to do, in plain words, in quotes.", show_default=False),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it starts.")]
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
QuietPlanOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show the plan and nothing beside it.")]
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
        "--workers",
        "-w",
        min=0,
        max=1024,
        metavar="N",
        help="Local worker processes; 0: only workers registered elsewhere. Default: NADG_WORKERS.",
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. Works anywhere.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Where the files go. Default: nadg-out/RUN."),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=0.001, metavar="SECONDS", help="Fail the run after so long."),
]
ContinueOption = Annotated[
    bool, typer.Option("--continue-on-failure", help="Let the rest go on when a subtask fails.")
]
FollowOption = Annotated[
    list[str] | None,
    typer.Option("--follow", metavar="SUBTASK", help="Show what this subtask prints. Repeatable."),
]
MinSandboxOption = Annotated[
    Tier | None,
    typer.Option(
        "--min-sandbox",
        metavar="TIER",
        help="Weakest sandbox to accept: landlock, namespaces, none; never below NADG_MIN_SANDBOX.",
    ),
]
PlannerOption = Annotated[
    Literal["auto", "model", "builtin"] | None,
    typer.Option(
        "--planner", help="Who plans the command; auto: a model where one is configured. Default: NADG_PLANNER."
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="PROVIDER:NAME", help="Ask this language model; none: ask none. Default: NADG_MODEL."
    ),
]
BudgetUsdOption = Annotated[
    float | None,
    typer.Option(
        "--budget-usd", parser=usd_of, metavar="X", help="Spend at most X US dollars on language models."
    ),
]
BudgetTokensOption = Annotated[
    int | None,
    typer.Option(
        "--budget-tokens",
        parser=tokens_of,
        metavar="N",
        help="Use at most N tokens of language models, in and out.",
    ),
]
NoCacheOption = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Do work again that an earlier run did, and take no answer of a model that was given to one.",
    ),
]
NoHedgeOption = Annotated[
    bool,
    typer.Option("--no-hedge", help="Try no shard a second time because its first attempt is slow."),
]
MaxRetriesOption = Annotated[
    int | None,
    typer.Option(
        "--max-retries",
        min=0,
        metavar="N",
        help="Try shards of this run again at most N times because of workers that were lost. "
        "Default: 50, and half as many as there are shards.",
    ),
]
NoAnswersOption = Annotated[
    bool, typer.Option("--no-cache", help="Take no answer of a model that was given to an earlier run.")
]
RepairOption = Annotated[
    int | None,
    typer.Option(
        "--repair",
        parser=repairs_of,
        metavar="N",
        help="Let a model mend code that raises, up to N times a subtask. "
        "Default: 2 where a model wrote the plan, 0 for a plan file.",
    ),
]
ReviewOption = Annotated[
    bool, typer.Option("--review", help="Show plan, code and estimate, and ask before anything runs.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Approve the plan without being asked.")]
