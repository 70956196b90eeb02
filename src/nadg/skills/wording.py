"""Numbers and lists as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

_IRREGULAR = {"category": "categories", "entry": "entries", "has": "have"}


def number(value: float | None) -> str:
    """Four significant digits with thousands separators: `1,235`, `0.4821`, `3`; a dash for no number."""
    if value is None or not math.isfinite(value):
        return "–"
    value += 0.0  # never a negative zero
    size = abs(value)
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}" if size < 1e15 else f"{value:.3e}"
    if size < 1e-4:
        return f"{value:.2e}"
    decimals = max(0, 3 - math.floor(math.log10(size)))
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def counted(count: int, what: str) -> str:
    """`1 row`, `3,708 rows`."""
    plural = _IRREGULAR.get(what, f"{what}s")
    return f"{count:,} {what if count == 1 else plural}"


def percent(part: float, whole: float) -> str:
    """`12%`, `0.4%`, of a large whole `12.3%`; a dash where there is no whole."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.1f}%" if 0 < share < 1 or whole >= 1000 else f"{share:.0f}%"


def listed(words: Sequence[str], most: int = 6) -> str:
    """`a, b and c`; past `most` the rest is counted."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "none"


def shortened(text: str, most: int) -> str:
    """One line of at most `most` characters, cut at a word where that loses little."""
    flat = " ".join(text.split())
    if len(flat) <= most:
        return flat
    cut = flat[: most - 1]
    at_word = cut.rsplit(" ", 1)[0]
    return (at_word if len(at_word) > most * 0.6 else cut).rstrip(" ,;:.") + "…"


def spaced(name: str) -> str:
    """A column's name as a label: `Miles_per_Gallon` becomes `Miles per Gallon`."""
    return " ".join(name.replace("_", " ").split()) or "(no name)"
