"""What a person who judges a plan before it runs is shown and may change."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nadg.bootstrap.asked import ModelWishes, models_for, written_by_model
from nadg.bootstrap.models import model_settings
from nadg.bootstrap.planning import PlannedRun
from nadg.domain.errors import PlanInvalid
from nadg.domain.model_calls import Budget, Purpose
from nadg.domain.model_names import checked_model
from nadg.domain.plan import Plan, PromptWork, PythonWork
from nadg.domain.tier import Tier, strongest
from nadg.domain.validate import parse_plan
from nadg.models.prices import price_list
from nadg.planning.estimate import PlanEstimate, estimate_plan
from nadg.planning.file import dump_plan, parse_text
from nadg.planning.prompt_sizes import flaw_of_length
from nadg.planning.prompts import prompt_problems
from nadg.settings import Settings
from nadg.skills.registry import load_registry

EDITED = ", edited"


class RunEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is likely to take of language models, before it begins."""

    calls: int
    at_least: bool
    """There may be more: how many items some work has shows only while it runs."""
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None where the price of any of the models is not known."""
    shards: int
    """Units that are dispatched."""
    budget: Budget = Budget()


Cost = Callable[[str, int, int], float | None]
"""US dollars of a model for so many tokens in and out; None where its price is not known."""


def priced(counted: PlanEstimate, model_for: Callable[[Purpose], str], cost: Cost) -> RunEstimate:
    """The whole of it; the price of all is known only where that of every part is."""
    parts = counted.by_subtask
    costs = [cost(one.model or model_for(one.purpose), one.input_tokens, one.output_tokens) for one in parts]
    known = [one for one in costs if one is not None]
    return RunEstimate(
        calls=counted.calls,
        at_least=counted.at_least,
        input_tokens=counted.input_tokens,
        output_tokens=counted.output_tokens,
        cost_usd=sum(known) if len(known) == len(costs) else None,
        shards=counted.shards,
    )


def estimate_of(planned: PlannedRun, settings: Settings, wishes: ModelWishes) -> RunEstimate | None:
    """What the run is likely to take; None where there is nothing to tell: no language model does any of it."""
    by_model = written_by_model(planned.planner)
    if not by_model and not has_prompts(planned.plan):
        return None
    counted = estimate_plan(planned.plan, planned.inputs, answer=by_model)
    prices = price_list(model_settings(settings, wishes))

    def cost(model: str, input_tokens: int, output_tokens: int) -> float | None:
        return prices.cost(model, input_tokens=input_tokens, output_tokens=output_tokens)

    found = priced(counted, lambda purpose: next(iter(models_for(purpose, settings, wishes)), ""), cost)
    return msgspec.structs.replace(found, budget=wishes.budget)


def editable_text(planned: PlannedRun) -> str:
    """The plan as the YAML that `edited_run` reads."""
    return dump_plan(planned.plan)


def edited_run(text: str, planned: PlannedRun) -> PlannedRun:
    """The plan that a person made of it. Raises UserError, naming everything that is wrong.

    Prompt work may be added only to a plan that a model wrote, or that has some: else none is configured.
    """
    models = written_by_model(planned.planner) or has_prompts(planned.plan)
    document = parse_text(text, "the edited plan.yaml")
    plan = parse_plan(document, skills=load_registry().specs, inputs=planned.inputs, models=models)
    if problems := prompt_problems(plan, _flaw_of_name, flaw_of_length(planned.inputs)):
        raise PlanInvalid(problems)
    planner = planned.planner if planned.planner.endswith(EDITED) else planned.planner + EDITED
    by_model = written_by_model(planned.planner)
    return msgspec.structs.replace(planned, plan=plan, planner=planner if by_model else planned.planner)


def _flaw_of_name(model: str) -> str:
    """Whether it can be asked shows when it is; that it names a model must be sure before."""
    try:
        checked_model(model)
    except ValueError as error:
        return str(error)
    return ""


def has_prompts(plan: Plan) -> bool:
    """Whether a language model does some of its work."""
    return any(isinstance(one.work, PromptWork) for one in plan.subtasks)


def unconfined_code(planned: PlannedRun, tier: Tier) -> tuple[str, ...]:
    """The subtasks whose code a model wrote and that may run without isolation.

    `tier` is what the run demands; a subtask may demand more.
    """
    if not written_by_model(planned.planner):
        return ()
    return tuple(
        one.id
        for one in planned.plan.subtasks
        if isinstance(one.work, PythonWork) and strongest(tier, one.min_sandbox) is Tier.NONE
    )
