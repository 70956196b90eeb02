"""Names of language models, `PROVIDER:NAME`, and the addresses of those who serve them."""

from __future__ import annotations

from urllib.parse import urlsplit

PROVIDERS = ("google", "openai")
"""`openai` is whoever speaks its API: Ollama, llama.cpp, LM Studio and others, by their base URL."""
DEFAULT_MODEL = "google:gemini-3.5-flash-lite"
"""Asked where a Gemini key is set and no model is named."""
NO_MODEL = "none"
_LONGEST = 200


def checked_model(text: str) -> str:
    """The name of a model. Raises ValueError, naming the text and what would be right."""
    provider, colon, name = text.partition(":")
    if not colon or not name or provider not in PROVIDERS:
        providers = " or ".join(PROVIDERS)
        raise ValueError(
            f"{_shown(text)} is no model; write PROVIDER:NAME with {providers}, such as {DEFAULT_MODEL}"
        )
    if len(text) > _LONGEST or not text.isprintable() or any(char.isspace() for char in text):
        raise ValueError(
            f"{_shown(text)} is no model; a name has no spaces and at most {_LONGEST} characters, "
            f"such as {DEFAULT_MODEL}"
        )
    return text


def checked_base_url(text: str) -> str:
    """An address that requests go to, without a slash at its end. Raises ValueError; the text is not shown."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("it is no address; write http://HOST or https://HOST with a path, if it has one")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a name or a password; the key has a variable of its own")
    return text.rstrip("/")


def flaw_of_key(key: str) -> str | None:
    """What is wrong with a provider's key, without showing it; None where a request can carry it.

    Keys are opaque: nothing else is judged, for providers change what theirs look like.
    """
    if key and key.isascii() and key.isprintable() and " " not in key:
        return None
    return "a key is printable ASCII without spaces; copy it again from the provider's page"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
