"""The Gemini API. Imports pydantic-ai and Google's SDK, so it is imported only when such a model is used."""

from __future__ import annotations

from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

from nadg.models.clients import PydanticAiClient, create_http
from nadg.models.configuration import ModelSettings

BASE_URL = "https://generativelanguage.googleapis.com"


def create_google_client(settings: ModelSettings) -> PydanticAiClient:
    """A client for `google:` models. Key and address are those of the settings, never the environment's."""
    base_url = settings.google_base_url or BASE_URL
    http = create_http(base_url, settings.timeout_seconds)
    key = settings.google_api_key
    # Without retry options the SDK sends each request exactly once: trying again is the gateway's.
    provider = GoogleProvider(api_key=key.reveal(), base_url=base_url, http_client=http, retry_options=None)
    return PydanticAiClient(lambda name: GoogleModel(name, provider=provider), http, key, settings)
