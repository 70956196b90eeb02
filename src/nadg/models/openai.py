"""OpenAI and servers that speak its chat completions, such as llama.cpp and Ollama.

Imports pydantic-ai and OpenAI's SDK, so it is imported only when such a model is used.
"""

from __future__ import annotations

from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from nadg.models.clients import PydanticAiClient, create_http
from nadg.models.configuration import NO_KEY, ModelSettings

BASE_URL = "https://api.openai.com/v1"


def create_openai_client(settings: ModelSettings) -> PydanticAiClient:
    """A client for `openai:` models. Key and address are those of the settings, never the environment's."""
    base_url = settings.openai_base_url or BASE_URL
    http = create_http(base_url, settings.timeout_seconds)
    key = settings.openai_api_key
    sdk = AsyncOpenAI(base_url=base_url, api_key=key.reveal() or NO_KEY, http_client=http, max_retries=0)
    provider = OpenAIProvider(openai_client=sdk)
    profile = OpenAIModelProfile(
        # Servers of others know the older field only.
        openai_chat_supports_max_completion_tokens=settings.openai_base_url is None,
        # A stream without one was broken off on its way.
        openai_chat_streaming_requires_finish_reason=True,
    )
    return PydanticAiClient(
        lambda name: OpenAIChatModel(name, provider=provider, profile=profile), http, key, settings
    )
