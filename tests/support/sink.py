"""Who is told of attempts, in tests of engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptLost, AttemptStarted


class Sink:
    """Keeps what it is told and wakes who waits for it."""

    def __init__(self) -> None:
        self.events: list[AttemptEvent] = []
        self.texts: list[str] = []
        self._told = asyncio.Event()

    def event(self, event: AttemptEvent) -> None:
        self.events.append(event)
        self._told.set()

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        self.texts.append(text)
        self._told.set()

    def ends(self) -> dict[str, AttemptFinished | AttemptLost]:
        """By attempt. Fails where one ended twice."""
        found = [event for event in self.events if not isinstance(event, AttemptStarted)]
        ends = {event.attempt_id: event for event in found}
        assert len(ends) == len(found), "each ends once"
        return ends

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not enough():
                self._told.clear()
                await self._told.wait()
