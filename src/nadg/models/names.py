"""Names of models: `PROVIDER:NAME`, such as `google:gemini-3.5-flash-lite`."""

from __future__ import annotations

import difflib
from typing import Literal, get_args

import msgspec

from nadg.domain.errors import UserError

Provider = Literal["google", "openai"]
"""`google` is the Gemini API; `openai` any server that speaks OpenAI's chat completions, the local ones too."""

PROVIDERS: tuple[Provider, ...] = get_args(Provider)
DEFAULT_MODEL = "google:gemini-3.5-flash-lite"


class ModelName(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed reference; `str()` gives it back."""

    provider: Provider
    name: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}"


def parse_model(text: str, *, setting: str = "NADG_MODEL") -> ModelName:
    """The reference in `text`. Raises UserError that names `setting`, the value and the mend."""
    before, colon, name = text.strip().partition(":")
    if not colon:
        raise UserError(f"{setting}: {text!r} is no model; write PROVIDER:NAME, such as {DEFAULT_MODEL}")
    provider = _provider(before.strip().lower())
    if provider is None:
        raise UserError(f"{setting}: {text!r}: {_unknown_provider(before)}")
    if not name or not name.isprintable() or " " in name:
        raise UserError(f"{setting}: {text!r} names no model of {provider}; write {provider}:NAME")
    return ModelName(provider=provider, name=name)


def _provider(word: str) -> Provider | None:
    return next((known for known in PROVIDERS if known == word), None)


def _unknown_provider(word: str) -> str:
    near = difflib.get_close_matches(word.strip().lower(), PROVIDERS, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown provider {word!r}{meant}; known are {', '.join(PROVIDERS)}"
