"""`nadg runs resume` and `nadg runs fork`: a run goes on, or is done again from one of its subtasks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nadg.cli.commands.arguments import (
    BudgetTokensOption,
    BudgetUsdOption,
    ContinueOption,
    FollowOption,
    JsonOption,
    MaxRetriesOption,
    ModelOption,
    NoCacheOption,
    NoHedgeOption,
    OutOption,
    QuietOption,
    RepairOption,
    RunArgument,
    RunWorkersOption,
    TimeoutOption,
)
from nadg.cli.failure import before_a_run

if TYPE_CHECKING:
    from nadg.cli.deriving import Derivation
    from nadg.cli.session import RunRequest
    from nadg.settings import Settings

FromOption = Annotated[
    str, typer.Option("--from", metavar="SUBTASK", help="Do this subtask again, and all that rests on it.")
]
ForkPlanOption = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        help="The plan, changed (`nadg runs show RUN --plan` gives it); what differs is done again, too.",
    ),
]
EditOption = Annotated[bool, typer.Option("--edit", help="Change the plan in your editor first.")]


def resume(  # each option of the command is a parameter
    run: RunArgument,
    out: OutOption = None,
    workers: RunWorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    timeout: TimeoutOption = None,
    continue_on_failure: ContinueOption = False,
    follow: FollowOption = None,
    model: ModelOption = None,
    budget_usd: BudgetUsdOption = None,
    budget_tokens: BudgetTokensOption = None,
    no_cache: NoCacheOption = False,
    no_hedge: NoHedgeOption = False,
    max_retries: MaxRetriesOption = None,
    repair: RepairOption = None,
) -> None:
    """Do what is missing or failed of a run, and keep the rest.

    A run whose master is gone goes on here, as it is. One that failed or was cancelled gets a new run beside it,
    with the same options but for those that are given; its time limit and its budget count anew.
    """
    with before_a_run():
        from nadg.cli.deriving import Derivation

        settings, request = _request(
            out, workers, as_json, quiet, timeout, continue_on_failure, follow,
            model, budget_usd, budget_tokens, no_cache, no_hedge, max_retries, repair,
        )  # fmt: skip
        asked = Derivation(run=run)
    raise typer.Exit(_carry_out(settings, asked, request))


def fork(  # each option of the command is a parameter
    run: RunArgument,
    from_subtask: FromOption,
    plan: ForkPlanOption = None,
    edit: EditOption = False,
    out: OutOption = None,
    workers: RunWorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    timeout: TimeoutOption = None,
    continue_on_failure: ContinueOption = False,
    follow: FollowOption = None,
    model: ModelOption = None,
    budget_usd: BudgetUsdOption = None,
    budget_tokens: BudgetTokensOption = None,
    no_cache: NoCacheOption = False,
    no_hedge: NoHedgeOption = False,
    max_retries: MaxRetriesOption = None,
    repair: RepairOption = None,
) -> None:
    """Do a run again from one of its subtasks on, perhaps with a changed plan, and keep the rest.

    It becomes a new run beside the old one, with the same options but for those that are given.
    """
    with before_a_run():
        from nadg.cli.deriving import Derivation

        settings, request = _request(
            out, workers, as_json, quiet, timeout, continue_on_failure, follow,
            model, budget_usd, budget_tokens, no_cache, no_hedge, max_retries, repair,
        )  # fmt: skip
        asked = Derivation(run=run, from_subtask=from_subtask, plan_file=plan, edit=edit)
    raise typer.Exit(_carry_out(settings, asked, request))


def _request(
    out: Path | None,
    workers: int | None,
    as_json: bool,
    quiet: bool,
    timeout: float | None,
    continue_on_failure: bool,
    follow: list[str] | None,
    model: str | None,
    budget_usd: float | None,
    budget_tokens: int | None,
    no_cache: bool,
    no_hedge: bool,
    max_retries: int | None,
    repair: int | None,
) -> tuple[Settings, RunRequest]:
    from nadg.cli.configuration import read_settings
    from nadg.cli.session import RunRequest
    from nadg.cli.wishes import checked_wishes
    from nadg.domain.run import RunOptions

    settings = read_settings()
    wishes = checked_wishes(
        settings,
        planner=None,
        model=model,
        budget_usd=budget_usd,
        budget_tokens=budget_tokens,
        no_cache=no_cache,
        repairs=repair,
        from_file=True,
        elsewhere=True,
    )
    request = RunRequest(
        out=out,
        workers=workers,
        options=RunOptions(
            timeout_seconds=timeout,
            continue_on_failure=continue_on_failure,
            hedge=not no_hedge,
            max_retries=max_retries,
        ),
        wishes=wishes,
        follow=tuple(follow or ()),
        as_json=as_json,
        quiet=quiet,
    )
    return settings, request


def _carry_out(settings: Settings, asked: Derivation, request: RunRequest) -> int:
    if settings.master_url:
        from nadg.cli.remote_deriving import carry_out_remotely

        return asyncio.run(carry_out_remotely(settings, asked, request))
    from nadg.cli.deriving import carry_out

    return asyncio.run(carry_out(settings, asked, request))
