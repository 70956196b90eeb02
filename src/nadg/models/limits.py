"""What a provider allows for one model."""

from __future__ import annotations

import msgspec


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """None means: not known; then the provider's refusals teach it."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """In and out together."""
    requests_per_day: int | None = None
    """A day ends at midnight Pacific time."""
