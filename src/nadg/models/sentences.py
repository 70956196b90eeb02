"""What users are told when a model does not answer: one sentence each, which says what to do."""

from __future__ import annotations

import datetime

from nadg.domain.errors import ContentBlocked, ModelError, ModelRefused, ModelUnavailable
from nadg.domain.model_names import parse_model
from nadg.models.call import RequestBlocked, RequestFailed, RequestRefused
from nadg.models.configuration import ModelSettings

UNREACHABLE = "it cannot be reached"
"""How the words begin of a failure to connect."""


def model_error(model: str, failure: RequestFailed, settings: ModelSettings, tries: int = 1) -> ModelError:
    """The error that callers see for the last failure of a request."""
    words = str(failure)
    match failure:
        case RequestRefused(about="key"):
            variable = settings.key_variable(parse_model(model).provider)
            return ModelRefused(
                f"{model} refuses the key in {variable} ({words}); set {variable} to one that works"
            )
        case RequestRefused(about="address") if setting := _address_setting(model, settings):
            return ModelRefused(f"{model} is not found ({words}); is {setting} right?")
        case RequestRefused(about="model" | "address"):
            return ModelRefused(f"there is no model {model} ({words}); name another (--model or NADG_MODEL)")
        case RequestRefused():
            return ModelRefused(
                f"{model} refuses the request ({words}); ask otherwise, or name another model (--model)"
            )
        case RequestBlocked():
            return ContentBlocked(f"a content filter of {model} stopped the request ({words}); word it otherwise")
        case _:
            often = f" in {tries} tries" if tries > 1 else ""
            return ModelUnavailable(f"{model} gave no answer{often}: {words}{_hint(model, words, settings)}")


def _hint(model: str, words: str, settings: ModelSettings) -> str:
    """What to look at where nothing answers at all."""
    if not words.startswith(UNREACHABLE):
        return ""
    return f"; check {_address_setting(model, settings) or 'the network'}"


def _address_setting(model: str, settings: ModelSettings) -> str:
    """The setting that says where the model is asked; empty where it is the provider's own address."""
    provider = parse_model(model).provider
    return "" if settings.base_url(provider) is None else f"NADG_{provider.upper()}_BASE_URL"


def until_minute(moment: datetime.datetime) -> str:
    """`HH:MM:SS UTC`."""
    return f"{moment.astimezone(datetime.UTC):%H:%M:%S} UTC"


def until_day(moment: datetime.datetime) -> str:
    """`YYYY-MM-DD HH:MM UTC`."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"
