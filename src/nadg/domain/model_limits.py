"""What a provider allows of each model, as a setting names it: `MODEL NAME=NUMBER …; MODEL …`."""

from __future__ import annotations

import msgspec

from nadg.domain.model_names import checked_model

_MOST = 10**12
_EXAMPLE = "google:gemini-3.5-flash-lite requests_per_minute=60"


class NamedModelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one model; None where none is named. Days are the provider's."""

    model: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """In and out together."""
    requests_per_day: int | None = None


LIMIT_NAMES = tuple(name for name in NamedModelLimits.__struct_fields__ if name != "model")


def read_model_limits(text: str) -> tuple[NamedModelLimits, ...]:
    """Models separated by semicolons. Raises ValueError, naming the part and what would be right."""
    found = [_read_one(part.split()) for part in text.split(";") if part.strip()]
    models = [one.model for one in found]
    twice = next((model for model in models if models.count(model) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} stands twice; give its limits once")
    return tuple(found)


def _read_one(words: list[str]) -> NamedModelLimits:
    model = checked_model(words[0])
    if len(words) == 1:
        raise ValueError(f"{model} is given no limit; write it so: {_EXAMPLE}")
    values: dict[str, int] = {}
    for word in words[1:]:
        name, equals, number = word.partition("=")
        if not equals or name not in LIMIT_NAMES:
            raise ValueError(f"{word[:60]!r} is no limit of a model; the limits are {', '.join(LIMIT_NAMES)}")
        if name in values:
            raise ValueError(f"{name} of {model} is given twice; give it once")
        values[name] = _number(name, number)
    return NamedModelLimits(model=model, **values)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 13 and 1 <= int(text) <= _MOST):
        raise ValueError(f"{name}={text[:40]!r} does not fit; give a whole number of 1 or more")
    return int(text)
