"""From settings and wishes to the door that models are asked through, and to the account of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from nadg.bootstrap.asked import PURPOSES, ModelWishes, has_models, models_for
from nadg.domain.clock import Clock
from nadg.domain.errors import UserError
from nadg.domain.model_calls import Budget
from nadg.models.account import RunAccount
from nadg.models.budget_sentences import no_price
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.gateway import Gateway, open_gateway
from nadg.models.limits import RateLimits
from nadg.models.prices import price_list
from nadg.settings import Settings
from nadg.store.api import Store

WHOLE_ANSWER = 2.5
"""A whole answer may take so many times as long as a model may be silent."""

Notice = Callable[[str], None]
"""Who is told something in one sentence: a wait, a fallback."""


def say_nothing(text: str) -> None:
    """A Notice for scripts that show nothing."""
    del text


def model_settings(settings: Settings, wishes: ModelWishes) -> ModelSettings:
    """Plain values for the gateway; no model in them where none is configured or wanted."""
    first = {purpose: next(iter(models_for(purpose, settings, wishes)), "") for purpose in PURPOSES}
    google = settings.google_api_key or settings.gemini_api_key
    return ModelSettings(
        model="",
        fallbacks=settings.model_fallbacks if any(first.values()) else (),
        plan_model=first["plan"],
        prompt_model=first["prompt"],
        repair_model=first["repair"],
        answer_model=first["answer"],
        google_api_key=_key(google),
        google_key_variable="GOOGLE_API_KEY" if settings.google_api_key else "GEMINI_API_KEY",
        google_base_url=settings.google_base_url or None,
        openai_api_key=_key(settings.openai_api_key),
        openai_base_url=settings.openai_base_url or None,
        timeout_seconds=settings.model_timeout_seconds * WHOLE_ANSWER,
        first_token_seconds=settings.model_timeout_seconds,
        limits={
            one.model: RateLimits(
                requests_per_minute=one.requests_per_minute,
                tokens_per_minute=one.tokens_per_minute,
                requests_per_day=one.requests_per_day,
            )
            for one in settings.model_limits
        },
    )


@asynccontextmanager
async def open_models(
    settings: Settings, wishes: ModelWishes, store: Store, clock: Clock
) -> AsyncIterator[Gateway | None]:
    """The door for the length of a `with`; None where no model is configured.

    Raises ModelRefused without key, and UserError for a budget that could not be kept.
    """
    if not has_models(settings, wishes):
        yield None
        return
    plain = model_settings(settings, wishes)
    async with open_gateway(plain, cache=store.model_answers, clock=clock) as gateway:
        if wishes.budget.usd is not None:
            require_prices(plain)
        yield gateway


def require_prices(settings: ModelSettings) -> None:
    """Raises UserError where a budget in dollars could not be kept."""
    prices = price_list(settings)
    unknown = next((one for one in settings.all_models() if prices.price_of(one) is None), None)
    if unknown is not None:
        raise UserError(f"--budget-usd: {no_price(unknown)}")


async def open_account(
    run_id: str, budget: Budget, use_cache: bool, store: Store, clock: Clock, notice: Notice
) -> RunAccount:
    """The account of a run, counting on from what it has spent already."""
    return await RunAccount.open(
        run_id, budget, store.model_calls, clock=clock, use_cache=use_cache, notice=notice
    )


def _key(secret: SecretStr | None) -> ApiKey:
    return ApiKey(secret.get_secret_value() if secret is not None else "")
