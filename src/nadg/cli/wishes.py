"""From the options about language models to one clear wish."""

from __future__ import annotations

from typing import Literal

from nadg.bootstrap.asked import HOW_TO_CONFIGURE, ModelWishes, has_models, models_for
from nadg.domain.errors import UserError
from nadg.domain.model_calls import Budget
from nadg.domain.model_names import NO_MODEL, checked_model
from nadg.settings import Settings


def checked_wishes(
    settings: Settings,
    *,
    planner: Literal["auto", "model", "builtin"] | None,
    model: str | None,
    budget_usd: float | None,
    budget_tokens: int | None,
    no_cache: bool,
    repairs: int | None = None,
    from_file: bool,
    elsewhere: bool = False,
) -> ModelWishes:
    """Raises UserError, naming the option, where one does not fit or two contradict each other.

    `elsewhere`: whether models are there is not known yet: a master has them, or another run names them.
    """
    wishes = ModelWishes(
        planner=planner,
        model=None if model is None else _model(model),
        budget=Budget(usd=budget_usd, tokens=budget_tokens),
        use_cache=not no_cache,
        repairs=repairs,
    )
    if planner is not None and from_file:
        raise UserError("give either --plan FILE or --planner, not both: the file is the plan")
    if planner == "builtin" and wishes.model not in (None, NO_MODEL):
        raise UserError(f"--planner builtin asks no model, and --model {wishes.model} wants one; drop one of them")
    if elsewhere:
        return wishes
    chosen = planner or settings.planner
    if chosen == "model" and not from_file and not models_for("plan", settings, wishes):
        asked = "--planner model" if planner else "NADG_PLANNER=model"
        if wishes.model == NO_MODEL:
            raise UserError(f"{asked} wants a model to plan, and --model none wants none; drop one of them")
        raise UserError(f"{asked}: no language model is configured; {HOW_TO_CONFIGURE}")
    require_models(settings, wishes)
    return wishes


def require_models(settings: Settings, wishes: ModelWishes) -> None:
    """Raises UserError where an option is about models and none is asked."""
    none = f"none is configured; {HOW_TO_CONFIGURE}"
    if wishes.model == NO_MODEL:
        none = "--model none wants none; drop one of them, or name a model"
    if wishes.repairs and not models_for("repair", settings, wishes):
        raise UserError(f"--repair: code is mended by a model, and {none}")
    if wishes.budget != Budget() and not has_models(settings, wishes):
        option = "--budget-usd" if wishes.budget.usd is not None else "--budget-tokens"
        raise UserError(f"{option} bounds what models cost, and {none}")


def _model(text: str) -> str:
    try:
        return text if text == NO_MODEL else checked_model(text)
    except ValueError as error:
        raise UserError(f"--model: {error}") from None
