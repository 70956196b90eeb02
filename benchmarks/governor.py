"""How near to what a provider allows do many items come, and how many requests are wasted on a closed window?

500 items go through the real gateway and client over HTTP to an imitation of the Gemini API that allows 60
requests a minute. Its clock and ours run `--scale` times as fast as the world's; each request still takes its
real time, which so counts `--scale` times. Ideal is one full minute after the other, none before the first.

    python benchmarks/governor.py [--items 500] [--width 20] [--scale 10] [--only known/sliding]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import math
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec
from environment import print_environment

from nadg.domain.model_calls import Budget
from nadg.models.account import RunAccount
from nadg.models.call import ClientReply, ModelCall, ModelClient, RateLimited, TextSink, Turn
from nadg.models.configuration import ApiKey, ModelSettings
from nadg.models.fake import FakeAnswerCache, FakeLedger
from nadg.models.gateway import Gateway
from nadg.models.governor import Governor
from nadg.models.limits import RateLimits

sys.path.append(str(Path(__file__).parents[1]))

from tests.models.driven_runs import Driven, drive_run
from tests.support.gemini import GeminiImitation, Quota, Say, run_in_thread

MODEL = "google:gemini-3.5-flash-lite"
WARM_UP_MODEL = "gemini-3.8-flash"
"""Has a quota of its own; asked first, to open the connections."""
KEY = "test-key"
REQUESTS_PER_MINUTE = 60
START = datetime.datetime(2026, 1, 15, 20, 0, 20, tzinfo=datetime.UTC)
"""Twenty seconds into a minute, so that ours and a fixed one of the provider do not begin together."""
GOAL = 0.95
Window = Literal["sliding", "fixed"]
Limit = Literal["known", "learnt"]


class ScaledClock:
    """Runs `scale` times as fast as the world, from `START`."""

    def __init__(self, scale: float) -> None:
        self._scale, self._origin = scale, time.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._origin) * self._scale

    def now(self) -> datetime.datetime:
        return START + datetime.timedelta(seconds=self.monotonic())

    def epoch(self) -> float:
        """Seconds since the Unix epoch."""
        return START.timestamp() + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._scale)


class WatchingClient:
    """Passes requests on and counts those that go out while the provider is known to refuse."""

    def __init__(self, client: ModelClient, clock: ScaledClock) -> None:
        self._client, self._clock = client, clock
        self._closed_until = -math.inf
        self.wasted = 0

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        self.wasted += self._clock.monotonic() < self._closed_until
        try:
            return await self._client.exchange(model, call, max_output_tokens, sink)
        except RateLimited as error:
            self._closed_until = max(self._closed_until, self._clock.monotonic() + (error.retry_after or 0.0))
            raise


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one round came to; seconds are scaled ones."""

    seconds: float
    ideal_seconds: float
    failed: int
    refused: int
    wasted: int
    """Sent although we had been told that the window is closed."""
    crossed: int
    """Sent while it was closed and before we could know: they met the first refusal on the way."""

    @property
    def ratio(self) -> float:
        return self.ideal_seconds / self.seconds

    @property
    def good(self) -> bool:
        return self.failed == 0 and self.wasted == 0 and self.ratio >= GOAL


async def measure(limit: Limit, window: Window, items: int, width: int, scale: float) -> Figures:
    """One run of `items` prompts, `width` of them under way or waiting at a time."""
    from nadg.models.google import create_google_client

    clock = ScaledClock(scale)
    quota = Quota(REQUESTS_PER_MINUTE, window=window, time=clock.epoch)
    limits = {MODEL: RateLimits(requests_per_minute=REQUESTS_PER_MINUTE)} if limit == "known" else {}
    with run_in_thread(GeminiImitation(lambda _: Say("yes"), api_key=KEY, quota=quota)) as gemini:
        settings = ModelSettings(
            model=MODEL, google_api_key=ApiKey(KEY), google_base_url=gemini.url, limits=limits
        )
        client = create_google_client(settings)
        watching = WatchingClient(client, clock)
        governor = Governor(limits, clock=clock, time=clock.monotonic, sleep=clock.sleep)
        door = Gateway(settings, {"google": watching}, governor, FakeAnswerCache(), clock, sleep=clock.sleep)
        account = await RunAccount.open("run", Budget(), FakeLedger(), clock=clock)
        calls = [_item(number) for number in range(items)]
        driven = Driven()
        await asyncio.gather(*(client.exchange(WARM_UP_MODEL, one, 64, None) for one in calls[:width]))
        began = clock.monotonic()
        try:
            await drive_run(door, account, calls, driven, width=width)
        finally:
            await client.aclose()
        seconds = clock.monotonic() - began
    return Figures(
        seconds=seconds,
        ideal_seconds=60.0 * (math.ceil(items / REQUESTS_PER_MINUTE) - 1),
        failed=items - len(driven.replies),
        refused=quota.refused,
        wasted=watching.wasted,
        crossed=quota.sent_while_closed - watching.wasted,
    )


def _item(number: int) -> ModelCall:
    return ModelCall(purpose="prompt", turns=(Turn(role="user", text=f"Item {number}?"),), max_output_tokens=64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--width", type=int, default=20)
    parser.add_argument("--scale", type=float, default=10.0)
    parser.add_argument("--only", default="", help="such as learnt/fixed")
    options = parser.parse_args()
    print_environment("pydantic-ai-slim", "google-genai", "uvicorn")
    all_good = True
    cases: list[tuple[Limit, Window]] = [
        ("known", "sliding"),
        ("known", "fixed"),
        ("learnt", "sliding"),
        ("learnt", "fixed"),
    ]
    for limit, window in cases:
        if options.only in ("", f"{limit}/{window}"):
            found = asyncio.run(measure(limit, window, options.items, options.width, options.scale))
            all_good = all_good and found.good
            print(
                f"limit {limit}, {window} window: {found.seconds:.1f} s for {options.items} items, "
                f"ideal {found.ideal_seconds:.0f} s, ratio {found.ratio:.3f}; {found.failed} failed, "
                f"{found.refused} requests refused ({found.crossed} crossed the first refusal), "
                f"{found.wasted} sent on a window known to be closed",
                flush=True,
            )
    goal = f"no failed item, at least {GOAL:.2f} of the allowed rate, none sent on a window known to be closed"
    print(f"goal ({goal}): {'met' if all_good else 'MISSED'}")
    if not all_good:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
