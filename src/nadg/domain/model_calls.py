"""Calls to language models: what one is for, what it used, what a run may spend, and how both are kept."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable
from typing import Literal

import msgspec

Purpose = Literal["plan", "prompt", "repair", "answer"]
"""What a call is for; each may have a model of its own."""

MAX_OUTPUT_TOKENS = 65_536
"""Of one answer, thinking included: the bound of the Gemini models; more is refused, not cut."""


class ModelUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What answers of language models took. `plus` adds up."""

    models: tuple[str, ...] = ()
    """Who answered, such as `google:gemini-3.5-flash-lite`; each once, in order of first use."""
    answers: int = 0
    """Answers that were given, those out of the cache included."""
    cached: int = 0
    """Answers that came out of the cache: no request was sent for them."""
    requests: int = 0
    """Requests that were sent, those that failed included."""
    input_tokens: int = 0
    output_tokens: int = 0
    """Without `thinking_tokens`."""
    thinking_tokens: int = 0
    cost_usd: float | None = 0.0
    """US dollars; None where the price of a model is not known."""
    latency_seconds: float = 0.0
    """From request to answer, added up; waiting for a rate limit does not count."""

    @property
    def tokens(self) -> int:
        """All tokens, in and out."""
        return self.input_tokens + self.output_tokens + self.thinking_tokens

    def plus(self, other: ModelUsage) -> ModelUsage:
        """Both together."""
        known = self.cost_usd is not None and other.cost_usd is not None
        return ModelUsage(
            models=tuple(dict.fromkeys((*self.models, *other.models))),
            answers=self.answers + other.answers,
            cached=self.cached + other.cached,
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            thinking_tokens=self.thinking_tokens + other.thinking_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
            latency_seconds=self.latency_seconds + other.latency_seconds,
        )


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a run may spend on models; None means no bound."""

    usd: float | None = None
    tokens: int | None = None
    """In and out together."""


Settlement = Literal["answered", "failed", "refused"]
"""How a request ends. `refused`: by a rate limit, so that the same is sent later; no failure, and free."""
CallState = Literal["charged", "answered", "failed", "refused", "cached"]
"""`charged`: sent, and nothing is known of its end (it counts with what was set aside for it)."""


class CallCharge(msgspec.Struct, frozen=True, kw_only=True):
    """What is set aside for one request before it is sent: the most that it can come to."""

    id: str
    run_id: str
    purpose: Purpose
    model: str
    tokens: int
    cost_usd: float | None
    """None where the price is not known."""
    at: datetime.datetime
    subtask_id: str = ""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request, or one answer out of the cache, as stored."""

    charge: CallCharge
    state: CallState
    usage: ModelUsage | None = None
    """What it really took, once that is known."""
    reason: str = ""
    """Why it failed, or was refused for now."""


def usage_of(calls: Iterable[CallRecord]) -> ModelUsage:
    """What their answers took, all together; requests whose end is not known are left out."""
    return functools.reduce(ModelUsage.plus, (one.usage for one in calls if one.usage), ModelUsage())


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer kept for the next time that the same is asked."""

    model: str
    text: str
    usage: ModelUsage
    """What it took when it was made."""
