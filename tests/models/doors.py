"""A gateway for tests: real clients over HTTP, a clock that jumps where others wait, an account that notes all."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from nadg.domain.model_calls import ModelUsage, Settlement, StoredAnswer
from nadg.models.call import Granted, ModelCall, Wanted
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.fake import FakeAnswerCache
from nadg.models.gateway import Gateway
from nadg.models.governor import Governor
from nadg.models.lazy_client import LazyClient, usable_providers
from tests.models.clients import KEY
from tests.support.gemini import Answer, GeminiImitation, Quota, Request, Script, scripted

LITE = "google:gemini-3.5-flash-lite"
FLASH = "google:gemini-3.8-flash"
LOCAL = "openai:small"
NOON = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.UTC)


class JumpingClock:
    """Time stands still but for sleeps, which end at once and move it on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime.datetime:
        return NOON + datetime.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def epoch(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    wanted: Wanted
    state: str
    usage: ModelUsage
    reason: str


class NotingAccount:
    """An account without a bound."""

    def __init__(self, run_id: str = "r1", *, use_cache: bool = True) -> None:
        self.run_id, self.use_cache = run_id, use_cache
        self.notices: list[str] = []
        self.charged: dict[str, Wanted] = {}
        self.settled: list[Settled] = []
        self.cached: list[StoredAnswer] = []
        self.longest: int | None = None
        """The most output tokens that it grants."""
        self.settling = asyncio.Event()
        self.may_settle: asyncio.Event | None = None

    def notice(self, text: str) -> None:
        self.notices.append(text)

    async def charge(self, wanted: Wanted) -> Granted:
        charge_id = f"c{len(self.charged)}"
        self.charged[charge_id] = wanted
        most = wanted.max_output_tokens
        granted = min(most, self.longest or most)
        shortened_by = "--budget-tokens" if granted < most else ""
        return Granted(charge_id=charge_id, max_output_tokens=granted, shortened_by=shortened_by)

    async def settle(self, charge_id: str, state: Settlement, usage: ModelUsage, reason: str = "") -> None:
        self.settling.set()
        if self.may_settle is not None:
            await self.may_settle.wait()
        wanted = self.charged[charge_id]
        self.settled.append(Settled(wanted=wanted, state=state, usage=usage, reason=reason))

    async def answered_from_cache(self, call: ModelCall, answer: StoredAnswer) -> None:
        self.cached.append(answer)

    @property
    def states(self) -> list[str]:
        return [one.state for one in self.settled]


class House:
    """What a test has in hand."""

    def __init__(self, door: Gateway, clock: JumpingClock, cache: FakeAnswerCache) -> None:
        self.door, self.clock, self.cache = door, clock, cache
        self.requests: list[Request] = []
        """Those that reached the script of the imitation."""


@asynccontextmanager
async def open_house(*, clock: JumpingClock | None = None, **changes: Any) -> AsyncIterator[House]:
    """A gateway with these settings; by default one model, and the right key for Google."""
    fields: dict[str, Any] = {"model": LITE, "google_api_key": ApiKey(KEY)}
    settings = ModelSettings(**(fields | changes))
    clock, cache = clock or JumpingClock(), FakeAnswerCache()
    clients: dict[str, LazyClient] = {one: LazyClient(one, settings) for one in usable_providers(settings)}
    governor = Governor(settings.limits, clock=clock, time=clock.monotonic, sleep=clock.sleep)
    door = Gateway(settings, clients, governor, cache, clock, sleep=clock.sleep, random=lambda: 0.5)
    try:
        yield House(door, clock, cache)
    finally:
        for client in clients.values():
            await client.aclose()


@asynccontextmanager
async def gemini_house(
    *answers: Answer, script: Script | None = None, quota: Quota | None = None, **changes: Any
) -> AsyncIterator[House]:
    """A gateway that an imitation of Gemini stands behind."""
    async with (
        GeminiImitation(script or scripted(answers), api_key=KEY, quota=quota) as server,
        open_house(google_base_url=server.url, **changes) as house,
    ):
        house.requests = server.requests
        yield house
