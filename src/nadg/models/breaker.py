"""What is known to fail is not sent: a model that was just found down, a key that its provider refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nadg.domain.clock import Clock
from nadg.domain.errors import ModelError
from nadg.domain.model_names import Provider, parse_model

OPEN_SECONDS = 5.0
"""So long nobody asks a model that is down; then one question does, for all."""


class Gone(Exception):
    """This model gives no answer now; another may. `refused_providers` take no request at all with this key."""

    def __init__(self, failure: ModelError, refused_providers: frozenset[Provider] = frozenset()) -> None:
        super().__init__(str(failure))
        self.failure, self.refused_providers = failure, refused_providers
        self.unknown = False
        """Whether there is no such model."""

    def again(self) -> Gone:
        """The same for another question."""
        return Gone(type(self.failure)(str(self.failure)), self.refused_providers)


class _Outage:
    """Of one model."""

    def __init__(self, gone: Gone, until: float) -> None:
        self.gone, self.until = gone, until
        self.probe: asyncio.Event | None = None
        """Set when the question that probes has ended; None while there is none."""


class Breaker:
    """One for all questions of a gateway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._outages: dict[str, _Outage] = {}
        self._refused: dict[Provider, Gone] = {}
        self._answered: dict[str, float] = {}

    @asynccontextmanager
    async def passing(self, model: str) -> AsyncIterator[None]:
        """For one question. After an outage the first one probes, and others wait for its end. Raises Gone.

        A probe may be a plan that takes minutes to write: nobody waits longer for it than for the outage.
        """
        while True:
            self.check(model)
            outage = self._outages.get(model)
            if outage is None or outage.probe is None:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(outage.probe.wait(), OPEN_SECONDS)
                continue
            break
        if outage is None or outage.probe is not None:
            yield
            return
        outage.probe = ended = asyncio.Event()
        try:
            yield
        finally:
            outage.probe = None
            ended.set()

    def check(self, model: str) -> None:
        """Raises Gone where a request is known to fail."""
        refused = self._refused.get(parse_model(model).provider)
        if refused is not None:
            raise refused.again()
        outage = self._outages.get(model)
        if outage is not None and self._clock.monotonic() < outage.until:
            raise outage.gone.again()

    def down(self, model: str, gone: Gone, since: float) -> None:
        """All its tries were in vain, the first one at `since`; no outage where others were answered meanwhile."""
        if self._answered.get(model, since - 1) < since:
            self._outages[model] = _Outage(gone, self._clock.monotonic() + OPEN_SECONDS)

    def refused(self, gone: Gone) -> None:
        """The key is no good, which only another start with another key mends."""
        for provider in gone.refused_providers:
            self._refused.setdefault(provider, gone)

    def up(self, model: str) -> None:
        """It has answered something."""
        self._answered[model] = self._clock.monotonic()
        outage = self._outages.pop(model, None)
        if outage is not None and outage.probe is not None:
            outage.probe.set()
