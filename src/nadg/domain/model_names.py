"""Names of language models, `PROVIDER:NAME`, and the addresses of those who serve them."""

from __future__ import annotations

from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

Provider = Literal["google", "openai"]
"""`google` is the Gemini API; `openai` whoever speaks OpenAI's: Ollama, llama.cpp, LM Studio and others, by their
base URL."""

PROVIDERS: tuple[Provider, ...] = get_args(Provider)
DEFAULT_MODEL = "google:gemini-3.5-flash-lite"
"""Asked where a Gemini key is set and no model is named."""
NO_MODEL = "none"
"""In a model's place: ask none."""
PROMPTS_NEED_A_MODEL = (
    "prompt work needs a language model, and none is configured; set GEMINI_API_KEY or NADG_MODEL (--model none "
    "asks none), or use a skill or python"
)
_LONGEST = 200


class ModelName(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed name; `str()` gives it back."""

    provider: Provider
    name: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}"


def parse_model(text: str) -> ModelName:
    """The provider and its name for a model. Raises ValueError, naming the text and what would be right."""
    before, colon, name = text.partition(":")
    provider = next((known for known in PROVIDERS if known == before), None)
    if provider is None or not colon or not name:
        providers = " or ".join(PROVIDERS)
        raise ValueError(
            f"{_shown(text)} is no model; write PROVIDER:NAME with {providers}, such as {DEFAULT_MODEL}"
        )
    if len(text) > _LONGEST or not text.isprintable() or any(char.isspace() for char in text):
        raise ValueError(
            f"{_shown(text)} is no model; a name has no spaces and at most {_LONGEST} characters, "
            f"such as {DEFAULT_MODEL}"
        )
    return ModelName(provider=provider, name=name)


def checked_model(text: str) -> str:
    """The text, where it names a model. Raises ValueError as `parse_model` does."""
    return str(parse_model(text))


def checked_base_url(text: str) -> str:
    """An address that requests go to, without a slash at its end. Raises ValueError; the text is not shown."""
    if not _is_address(text):
        raise ValueError("it is no address; write http://HOST or https://HOST, with its port and path if any")
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a name or a password; take them out: the key has a variable of its own")
    return text.rstrip("/")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        return False
    return sound and text.isprintable() and " " not in text and not parts.query and not parts.fragment


def flaw_of_key(key: str) -> str | None:
    """What is wrong with a provider's key, without showing it; None where a request can carry it.

    Keys are opaque: nothing else is judged, for providers change what theirs look like.
    """
    if key and key.isascii() and key.isprintable() and " " not in key:
        return None
    return "a key is printable ASCII without spaces; copy it again from the provider's page"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
