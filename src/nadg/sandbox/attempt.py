"""One running attempt as the worker follows it: its deadline, why it was ended, its process's end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

import msgspec

from nadg.domain.limits import Limits
from nadg.sandbox.process import TaskProcess

EndedBy = Literal["limit", "cancelled", "crashed"]


class Verdict(msgspec.Struct, frozen=True):
    """Why the worker ended an attempt."""

    kind: EndedBy
    reason: str


class RunningAttempt:
    """Waits for the end of its process, kills it at most once and remembers the first reason."""

    def __init__(self, limits: Limits, process: TaskProcess) -> None:
        self.limits = limits
        self.process = process
        self.verdict: Verdict | None = None
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self.kill_since: float | None = None
        self._over = asyncio.Event()
        self._deadline = self._loop.call_later(
            limits.wall_seconds,
            self.end,
            Verdict("limit", f"wall time limit of {limits.wall_seconds:g} s reached"),
        )
        process.when_over(self._process_over)

    def end(self, verdict: Verdict) -> None:
        """Kill the process for this reason; the first reason stays."""
        if self._over.is_set() or self.verdict is not None:
            return
        self.verdict = verdict
        self.kill_since = self._loop.time()
        self.process.kill()

    def _process_over(self) -> None:
        self._deadline.cancel()
        if self.process.lost_reason and self.verdict is None:
            self.verdict = Verdict("crashed", self.process.lost_reason)
        self._over.set()

    async def wait(self) -> None:
        """Until the process is dead and reaped. Cancelling the wait leaves the process alone."""
        await self._over.wait()

    async def wait_to_the_end(self) -> None:
        """As `wait`, through any further cancellation: nothing may be cleaned up before the process is gone."""
        while not self._over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.wait()
