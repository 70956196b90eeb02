"""What the user asks of language models for one run."""

from __future__ import annotations

from typing import Literal

import msgspec

from nadg.domain.model_calls import Budget

PlannerChoice = Literal["auto", "model", "builtin"]


class ModelWishes(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a command; None and the like leave it to the settings."""

    planner: PlannerChoice | None = None
    model: str | None = None
    """Ask this one, or `none`, whatever the settings name for whichever purpose."""
    budget: Budget = Budget()
    use_cache: bool = True
    repairs: int | None = None
