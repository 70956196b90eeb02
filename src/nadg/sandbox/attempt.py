"""One running attempt as the worker follows it: its process, its deadline, why it was ended, its exit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Literal

import msgspec

from nadg.domain.limits import Limits
from nadg.sandbox.zygote_process import Exit

EndedBy = Literal["limit", "cancelled", "crashed"]


class Verdict(msgspec.Struct, frozen=True):
    """Why the worker ended an attempt."""

    kind: EndedBy
    reason: str


class RunningAttempt:
    """Hears from the zygote, waits for the end, kills at most once and remembers the first reason."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.verdict: Verdict | None = None
        self.exit: Exit | None = None
        self.pid = 0
        self.has_started = False
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self.kill_since: float | None = None
        self._pidfd: int | None = None
        self._is_over = False
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = self._loop.call_later(
            limits.wall_seconds,
            self.end,
            Verdict("limit", f"wall time limit of {limits.wall_seconds:g} s reached"),
        )

    def started(self, pid: int, pidfd: int | None) -> None:
        self.pid, self._pidfd, self.has_started = pid, pidfd, True
        if self.verdict is not None:
            self._kill()

    def exited(self, exit: Exit) -> None:  # noqa: A002 it is the word
        self.exit = exit
        self._over()

    def lost(self, reason: str) -> None:
        """The zygote is gone, and its children die with it; wait for ours where that can be seen."""
        self.verdict = self.verdict or Verdict("crashed", reason)
        self._kill()
        if self._pidfd is None:
            self._over()
        else:
            self._loop.add_reader(self._pidfd, self._seen_dead, self._pidfd)

    def _seen_dead(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)  # where orphans become this process's children
        self._over()

    def end(self, verdict: Verdict) -> None:
        """Kill the process for this reason; the first reason stays."""
        if self._is_over or self.verdict is not None:
            return
        self.verdict = verdict
        self.kill_since = self._loop.time()
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            elif self.pid:
                os.kill(self.pid, signal.SIGKILL)

    def _over(self) -> None:
        self._is_over = True
        self._deadline.cancel()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Until the process is dead and reaped. Cancelling the wait leaves the process alone."""
        while not self._is_over:
            self._waiter = self._loop.create_future()
            await self._waiter

    async def wait_to_the_end(self) -> None:
        """As `wait`, through any further cancellation: nothing may be cleaned up before the process is gone."""
        while not self._is_over:
            with contextlib.suppress(asyncio.CancelledError):
                await self.wait()

    def close(self) -> None:
        self._deadline.cancel()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
