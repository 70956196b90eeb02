"""The doors to language models of a master that stays: one for each model that its runs name."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from nadg.bootstrap.asked import ModelWishes
from nadg.bootstrap.models import model_settings, open_models, require_prices
from nadg.domain.clock import Clock
from nadg.models.gateway import Gateway
from nadg.settings import Settings
from nadg.store.api import Store


class Doors:
    """Each is opened when the first run needs it and kept, so that runs share limits, prices and connections."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._open: dict[str | None, Gateway | None] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def door(self, wishes: ModelWishes) -> Gateway | None:
        """None where no model is configured or wanted. Raises as `open_models` does."""
        alone = ModelWishes(model=wishes.model)
        async with self._opening:
            if wishes.model not in self._open:
                opening = open_models(self._settings, alone, self._store, self._clock)
                self._open[wishes.model] = await self._stack.enter_async_context(opening)
        door = self._open[wishes.model]
        if door is not None and wishes.budget.usd is not None:
            require_prices(model_settings(self._settings, alone))
        return door
