"""Clients for the providers that can be asked, each loaded when it is first needed."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import Protocol

from nadg.domain.model_names import PROVIDERS, Provider
from nadg.models.call import ClientReply, ModelCall, TextSink
from nadg.models.configuration import ModelSettings

_FACTORIES: Mapping[Provider, tuple[str, str]] = {
    "google": ("nadg.models.google", "create_google_client"),
    "openai": ("nadg.models.openai", "create_openai_client"),
}


class ClosableClient(Protocol):
    """A `ModelClient` with connections to close."""

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply: ...

    async def aclose(self) -> None: ...


class LazyClient:
    """A provider's client. Its SDK takes a second to load, which happens in a thread at the first request."""

    def __init__(self, provider: Provider, settings: ModelSettings) -> None:
        self._provider, self._settings = provider, settings
        self._loading = asyncio.Lock()
        self._client: ClosableClient | None = None

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        async with self._loading:
            if self._client is None:
                create = await asyncio.to_thread(_load, self._provider)
                self._client = create(self._settings)
        return await self._client.exchange(model, call, max_output_tokens, sink)

    async def aclose(self) -> None:
        """Close its connections, if there are any."""
        if self._client is not None:
            await self._client.aclose()


def _load(provider: Provider) -> Callable[[ModelSettings], ClosableClient]:
    module, name = _FACTORIES[provider]
    create: Callable[[ModelSettings], ClosableClient] = getattr(importlib.import_module(module), name)
    return create


def usable_providers(settings: ModelSettings) -> tuple[Provider, ...]:
    """Those that have a key, or need none."""
    return tuple(one for one in PROVIDERS if settings.key_of(one) or not settings.needs_key(one))
