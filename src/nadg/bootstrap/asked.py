"""What the user asks of language models for one run, and what follows from it and from the settings."""

from __future__ import annotations

import msgspec

from nadg.domain.model_calls import Purpose
from nadg.domain.model_names import DEFAULT_MODEL, NO_MODEL
from nadg.domain.run import RunOptions, RunRecord
from nadg.domain.tier import Tier
from nadg.domain.wishes import ModelWishes as ModelWishes
from nadg.domain.wishes import PlannerChoice as PlannerChoice
from nadg.settings import Settings

DEFAULT_REPAIRS = 2
"""Of code that a model wrote; code of a plan file is left as its author wrote it."""
NO_MODEL_PLANNERS = ("builtin", "file")
"""What `planner` says of a plan that no model wrote."""

PURPOSES: tuple[Purpose, ...] = ("plan", "prompt", "repair", "answer")
HOW_TO_CONFIGURE = "set GEMINI_API_KEY, or NADG_MODEL and what it needs; see docs/MODELS.md"


def written_by_model(planner: str) -> bool:
    """Whether a plan, and with it any code in it, was written by a language model."""
    return planner not in NO_MODEL_PLANNERS


def options_of_run(options: RunOptions, wishes: ModelWishes, *, by_model: bool) -> RunOptions:
    """The options that are stored, `by_model` saying whether a model writes the plan."""
    repairs = wishes.repairs if wishes.repairs is not None else DEFAULT_REPAIRS if by_model else 0
    return msgspec.structs.replace(
        options,
        model=wishes.model or "",
        budget=wishes.budget,
        use_cache=wishes.use_cache,
        max_repairs=repairs,
        compose_answer=by_model,
    )


def wishes_of_derived(parent: RunRecord, wishes: ModelWishes) -> ModelWishes:
    """What is asked of models for what follows a run: the model that it was begun with, unless another is named.

    A plan that was never whole was being written by a model, so that a model is to write its rest.
    """
    planner: PlannerChoice | None = "auto" if parent.planning else None
    return msgspec.structs.replace(
        wishes, model=wishes.model or parent.options.model or None, planner=wishes.planner or planner
    )


def wishes_of_run(record: RunRecord) -> ModelWishes:
    """What was asked of models for a stored run, for whoever goes on with it."""
    options = record.options
    return wishes_of_derived(record, ModelWishes(budget=options.budget, use_cache=options.use_cache))


def models_for(purpose: Purpose, settings: Settings, wishes: ModelWishes | None = None) -> tuple[str, ...]:
    """Whom to ask, in order; nobody where no model is configured or wanted."""
    main = (wishes.model if wishes is not None else None) or _named_for(purpose, settings)
    if main in ("", NO_MODEL):
        return ()
    return tuple(dict.fromkeys((main, *settings.model_fallbacks)))


def has_models(settings: Settings, wishes: ModelWishes) -> bool:
    """Whether any model is configured and wanted."""
    return any(models_for(purpose, settings, wishes) for purpose in PURPOSES)


def must_wait_for_plan(*, review: bool, yes: bool, tier: Tier) -> bool:
    """Whether nothing may start before the whole plan is known: someone may still be asked about it.

    `tier` is the weakest sandbox that the run accepts.
    """
    return review or (tier is Tier.NONE and not yes)


def _named_for(purpose: Purpose, settings: Settings) -> str:
    named: dict[Purpose, str] = {
        "plan": settings.model_plan,
        "prompt": settings.model_prompt,
        "repair": settings.model_repair,
        "answer": settings.model_answer,
    }
    if settings.model == NO_MODEL:
        return NO_MODEL
    return named[purpose] or settings.model or (DEFAULT_MODEL if _has_google_key(settings) else "")


def _has_google_key(settings: Settings) -> bool:
    return settings.google_api_key is not None or settings.gemini_api_key is not None
