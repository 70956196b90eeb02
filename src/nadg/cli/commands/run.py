"""`nadg run`: words or a plan, and files, to an answer."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import typer

from nadg.cli.commands.arguments import (
    BudgetTokensOption,
    BudgetUsdOption,
    CommandArgument,
    ContinueOption,
    FollowOption,
    InputOption,
    JsonOption,
    MaxRetriesOption,
    MinSandboxOption,
    ModelOption,
    NoCacheOption,
    NoHedgeOption,
    OutOption,
    PlannerOption,
    PlanOption,
    QuietOption,
    RepairOption,
    ReviewOption,
    RunWorkersOption,
    TimeoutOption,
    YesOption,
)
from nadg.cli.failure import before_a_run
from nadg.domain.errors import UserError
from nadg.domain.tier import Tier, strongest

if TYPE_CHECKING:
    from pathlib import Path

    from nadg.cli.session import RunRequest
    from nadg.domain.run import RunOptions
    from nadg.domain.wishes import ModelWishes, PlannerChoice
    from nadg.settings import Settings


def run(  # each option of the command is a parameter
    command: CommandArgument = None,
    plan: PlanOption = None,
    inputs: InputOption = None,
    out: OutOption = None,
    workers: RunWorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    timeout: TimeoutOption = None,
    continue_on_failure: ContinueOption = False,
    follow: FollowOption = None,
    min_sandbox: MinSandboxOption = None,
    review: ReviewOption = False,
    yes: YesOption = False,
    planner: PlannerOption = None,
    model: ModelOption = None,
    budget_usd: BudgetUsdOption = None,
    budget_tokens: BudgetTokensOption = None,
    no_cache: NoCacheOption = False,
    no_hedge: NoHedgeOption = False,
    max_retries: MaxRetriesOption = None,
    repair: RepairOption = None,
) -> None:
    """Plan a command, run it on the grid, and show the answer.

    The answer goes to standard output, the rest to standard error. With NADG_MASTER_URL set, that master
    carries it out, and it outlives this command. Exit code: 0 done, 1 failed or refused in a review, 2 bad
    request, 130 cancelled by Ctrl-C (once: cleanly; twice: at once).
    """
    with before_a_run():
        from nadg.cli.configuration import read_settings
        from nadg.cli.log import shown_log
        from nadg.cli.session import RunRequest

        settings = read_settings()
        wishes = _wishes(settings, planner, model, budget_usd, budget_tokens, no_cache, repair, plan)
        request = RunRequest(
            command=command,
            plan_file=plan,
            inputs=tuple(inputs or ()),
            out=out,
            workers=workers,
            options=_options(settings, min_sandbox, timeout, quiet, continue_on_failure, no_hedge, max_retries),
            wishes=wishes,
            review=review,
            yes=yes,
            follow=tuple(follow or ()),
            as_json=as_json,
            quiet=quiet,
        )
    with shown_log(settings.log_level):
        code = asyncio.run(_carried_out(settings, request))
    raise typer.Exit(code)


async def _carried_out(settings: Settings, request: RunRequest) -> int:
    """Here, or by the master that the settings name."""
    if settings.master_url:
        from nadg.cli.remote import carry_out_remotely

        return await carry_out_remotely(settings, request)
    from nadg.cli.session import carry_out

    return await carry_out(settings, request)


def _wishes(
    settings: Settings,
    planner: PlannerChoice | None,
    model: str | None,
    budget_usd: float | None,
    budget_tokens: int | None,
    no_cache: bool,
    repair: int | None,
    plan: Path | None,
) -> ModelWishes:
    from nadg.cli.wishes import checked_wishes

    return checked_wishes(
        settings,
        planner=planner,
        model=model,
        budget_usd=budget_usd,
        budget_tokens=budget_tokens,
        no_cache=no_cache,
        repairs=repair,
        from_file=plan is not None,
        elsewhere=bool(settings.master_url),
    )


def _options(
    settings: Settings,
    min_sandbox: Tier | None,
    timeout: float | None,
    quiet: bool,
    continue_on_failure: bool,
    no_hedge: bool,
    max_retries: int | None,
) -> RunOptions:
    from nadg.domain.run import RunOptions

    return RunOptions(
        timeout_seconds=timeout,
        continue_on_failure=continue_on_failure,
        min_sandbox=_tier_told(min_sandbox, settings.min_sandbox, quiet),
        hedge=not no_hedge,
        max_retries=max_retries,
    )


def tier_of_run(asked: Tier | None, policy: Tier) -> Tier:
    """The stronger of what the option and the settings demand.

    Raises UserError where the option would switch isolation off and the settings do not.
    """
    if asked is Tier.NONE and policy is not Tier.NONE:
        raise UserError(
            f"--min-sandbox none: NADG_MIN_SANDBOX demands {policy}; "
            "set NADG_MIN_SANDBOX=none to accept workers that isolate nothing, for code that you wrote yourself"
        )
    return strongest(asked, policy)


def _tier_told(asked: Tier | None, policy: Tier, quiet: bool) -> Tier:
    tier = tier_of_run(asked, policy)
    if asked not in (None, tier) and not quiet:
        print(f"--min-sandbox {asked}: NADG_MIN_SANDBOX demands {tier}, which stays", file=sys.stderr)
    return tier
