"""Room for so many attempts at a time, given to masters in turn."""

from __future__ import annotations

import asyncio
from collections import deque

from nadg.worker.tenant import Held, Tenant


class Slots:
    """Counts what runs and knows who is next."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self._turn: deque[Tenant] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def full(self) -> bool:
        return self.taken >= self.count

    def join(self, tenant: Tenant) -> None:
        """A master that takes part from now on."""
        self._turn.append(tenant)

    def leave(self, tenant: Tenant) -> None:
        self._turn.remove(tenant)

    def take(self) -> None:
        self.taken += 1
        self._idle.clear()

    def free(self) -> None:
        self.taken -= 1
        if not self.taken:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Return when no slot is taken."""
        await self._idle.wait()

    def next_ready(self) -> Held | None:
        """The attempt that comes next: one of each master in turn; None where nothing is ready."""
        for _ in range(len(self._turn)):
            tenant = self._turn[0]
            self._turn.rotate(-1)
            while tenant.ready:
                held = tenant.ready.popleft()
                if held.state == "ready":  # else it was cancelled while it waited
                    return held
        return None
