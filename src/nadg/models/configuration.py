"""How models are reached, as plain values: which ones, with what keys, where, and how fast."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from nadg.domain.errors import ModelRefused, UserError
from nadg.domain.model_calls import Purpose
from nadg.domain.model_names import ModelName, Provider, checked_base_url, parse_model

if TYPE_CHECKING:
    from nadg.models.limits import RateLimits

DEFAULT_TIMEOUT_SECONDS = 300.0
DEFAULT_FIRST_TOKEN_SECONDS = 90.0
KEY_VARIABLES: Mapping[Provider, str] = {"google": "GEMINI_API_KEY", "openai": "OPENAI_API_KEY"}
"""The environment variable that a user is told to set. GOOGLE_API_KEY is read too, and beats GEMINI_API_KEY."""
_WHERE_FROM: Mapping[Provider, str] = {
    "google": "free at aistudio.google.com",
    "openai": "or NADG_OPENAI_BASE_URL for a server of your own",
}
NO_KEY = "none"
"""What a local server is sent that asks for no key."""


class ApiKey:
    """A key that neither `str()` nor `repr()` shows; `reveal()` is called only where a request is made."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value.strip()

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "ApiKey(…)" if self._value else "ApiKey()"


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the door to the models is told at the start."""

    model: str = ""
    """Who is asked for every purpose that has no model of its own; empty: no model at all."""
    fallbacks: tuple[str, ...] = ()
    """Who is asked next, in this order, when a model does not answer."""
    plan_model: str = ""
    prompt_model: str = ""
    repair_model: str = ""
    answer_model: str = ""
    google_api_key: ApiKey = ApiKey()
    google_key_variable: str = "GEMINI_API_KEY"
    """Where the key came from, for what a user is told: `GOOGLE_API_KEY` or `GEMINI_API_KEY`."""
    google_base_url: str | None = None
    openai_api_key: ApiKey = ApiKey()
    openai_base_url: str | None = None
    """With the version in it, such as `http://127.0.0.1:8080/v1`; None: OpenAI itself."""
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    """For one request, its whole answer included."""
    first_token_seconds: float = DEFAULT_FIRST_TOKEN_SECONDS
    """For the first piece of a streamed answer."""
    limits: Mapping[str, RateLimits] = {}
    """By model, such as `google:gemini-3.5-flash-lite`; one that is not named has none that is known."""

    def models_for(self, purpose: Purpose) -> tuple[str, ...]:
        """Who is asked for it, in order, each once; empty where no model is set."""
        own = {
            "plan": self.plan_model,
            "prompt": self.prompt_model,
            "repair": self.repair_model,
            "answer": self.answer_model,
        }[purpose]
        first = own or self.model
        return tuple(dict.fromkeys((first, *self.fallbacks))) if first else ()

    def all_models(self) -> dict[str, str]:
        """Every model that is named, with the setting that names it first."""
        named = (
            ("NADG_MODEL", self.model),
            ("NADG_MODEL_PLAN", self.plan_model),
            ("NADG_MODEL_PROMPT", self.prompt_model),
            ("NADG_MODEL_REPAIR", self.repair_model),
            ("NADG_MODEL_ANSWER", self.answer_model),
            *(("NADG_MODEL_FALLBACKS", name) for name in self.fallbacks),
        )
        found: dict[str, str] = {}
        for setting, name in named:
            if name:
                found.setdefault(name, setting)
        return found

    def key_of(self, provider: Provider) -> ApiKey:
        return self.google_api_key if provider == "google" else self.openai_api_key

    def key_variable(self, provider: Provider) -> str:
        """What a user sets to give this provider's key."""
        return self.google_key_variable if provider == "google" else KEY_VARIABLES[provider]

    def base_url(self, provider: Provider) -> str | None:
        return self.google_base_url if provider == "google" else self.openai_base_url

    def needs_key(self, provider: Provider) -> bool:
        """A server on this machine or in the local network is asked without one."""
        return not (provider == "openai" and is_near(self.openai_base_url))


def check_models(settings: ModelSettings) -> tuple[ModelName, ...]:
    """Every model that is named, parsed. Raises UserError for the first that is none."""
    return tuple(_parsed(name, setting) for name, setting in settings.all_models().items())


def _parsed(name: str, setting: str) -> ModelName:
    try:
        return parse_model(name)
    except ValueError as error:
        raise UserError(f"{setting}: {error}") from None


def check_keys(settings: ModelSettings, models: Iterable[ModelName] | None = None) -> None:
    """That each model (by default all that are named) can be asked. Raises ModelRefused for the first without key.

    Raises UserError for a base URL that is none.
    """
    for provider in ("google", "openai"):
        _check_base_url(settings, provider)
    for model in check_models(settings) if models is None else models:
        if settings.needs_key(model.provider) and not settings.key_of(model.provider):
            raise ModelRefused(missing_key(model))


def flaw_of_asking(settings: ModelSettings, text: str) -> str:
    """Why a model that somebody wrote down cannot be asked, and what to do; empty where it can."""
    try:
        model = parse_model(text)
    except ValueError as error:
        return str(error)
    keyless = settings.needs_key(model.provider) and not settings.key_of(model.provider)
    return missing_key(model) if keyless else ""


def missing_key(model: ModelName) -> str:
    """The sentence for a model whose provider has no key."""
    return f"{model} needs a key: set {KEY_VARIABLES[model.provider]} ({_WHERE_FROM[model.provider]})"


def _check_base_url(settings: ModelSettings, provider: Provider) -> None:
    url = settings.base_url(provider)
    try:
        if url is not None:
            checked_base_url(url)
    except ValueError as error:
        raise UserError(f"NADG_{provider.upper()}_BASE_URL: {error}") from None


def is_loopback(url: str | None) -> bool:
    """Whether the server is on this very machine."""
    host = _host(url)
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_near(url: str | None) -> bool:
    """Whether the server is on this machine or in a private network: such a one often wants no key."""
    host = _host(url)
    if host == "localhost" or host.endswith((".localhost", ".local", ".lan", ".internal", ".home.arpa")):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_private or address.is_link_local)


def _host(url: str | None) -> str:
    try:
        return (urlsplit(url).hostname or "").lower() if url else ""
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
