"""An event loop whose time jumps: where everybody waits, it is at once as late as the first of them waits for."""

from __future__ import annotations

import asyncio
import datetime
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
EPOCH = datetime.datetime(2026, 1, 15, 20, 0, tzinfo=datetime.UTC)
"""Noon of a winter's day at the Pacific."""


class Deadlock(Exception):
    """Everybody waits, and for nothing that could come: a lost wake-up."""


class _JumpingSelector(selectors.SelectSelector):
    """Never blocks: counts the time that it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise Deadlock
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code that waits for timers only, not for the world outside."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


class LoopClock:
    """The running loop's time; its wall time begins at `start`."""

    def __init__(self, start: datetime.datetime = EPOCH) -> None:
        self._start = start

    def now(self) -> datetime.datetime:
        return self._start + datetime.timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


async def pass_time(seconds: float) -> None:
    """Let virtual time pass; whoever can go on without waiting does so first."""
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    timer = loop.call_later(seconds, passed.set_result, None)
    try:
        await passed
    finally:
        timer.cancel()


def run_virtually(body: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end in no time. Raises Deadlock where it never ends."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(body)
