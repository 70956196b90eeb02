"""Numbers that are typed after options, refused in our own words."""

from __future__ import annotations

import datetime
import math

from nadg.domain.errors import UserError

MOST_REPAIRS = 5
MOST_DAYS = 36_500


def usd_of(text: str) -> float:
    """A budget in US dollars. Raises UserError."""
    try:
        usd = float(text)
    except ValueError:
        usd = math.nan
    if not (math.isfinite(usd) and usd > 0):
        raise UserError(f"--budget-usd: {text} is no budget; give US dollars above 0, such as 0.50")
    return usd


def tokens_of(text: str) -> int:
    """A budget in tokens. Raises UserError."""
    tokens = _whole(text)
    if tokens is None or tokens < 1:
        raise UserError(f"--budget-tokens: {text} is no budget; give 1 or more tokens, such as 100000")
    return tokens


def repairs_of(text: str) -> int:
    """How often code may be mended. Raises UserError."""
    repairs = _whole(text)
    if repairs is None or not 0 <= repairs <= MOST_REPAIRS:
        raise UserError(f"--repair: {text} does not fit; give a whole number from 0 to {MOST_REPAIRS}")
    return repairs


def days_of(text: str) -> datetime.timedelta:
    """An age in days. Raises UserError."""
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days <= MOST_DAYS:
        raise UserError(f"--older-than: {text} is no age; give days, such as 30, or 0.5 for twelve hours")
    return datetime.timedelta(days=days)


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
