"""Leases that are to be renewed at the same time are renewed together: one transaction, however many runs.

Each run renews its own, several times within its length. One by one, over a line to a server far away, a few
dozen runs would keep the only writer busy with nothing else, and lose their leases after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost
from nadg.domain.run import Lease
from nadg.store.database import Database
from nadg.store.leases import extend_leases


class _Asked(msgspec.Struct, frozen=True, eq=False):
    lease: Lease
    seconds: float
    answer: asyncio.Future[None]


class RenewalQueue:
    """Groups the renewals of one event loop; at most one group is under way."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._waiting: list[_Asked] = []
        self._group: list[_Asked] = []
        self._under_way: asyncio.Task[Sequence[LeaseLost | None]] | None = None

    async def renew(self, lease: Lease, lease_seconds: float) -> None:
        """Returns once it is written. Raises LeaseLost."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(lease, lease_seconds, answer))
        self._start()
        try:
            await answer
        finally:
            self._let_go()

    async def drain(self) -> None:
        """Return when nothing waits and nothing is under way."""
        while self._under_way is not None:
            await asyncio.wait([self._under_way])

    def _start(self) -> None:
        """Hand the next group over, if none is under way."""
        if self._under_way is not None:
            return
        group, self._waiting = [one for one in self._waiting if not one.answer.done()], []
        if not group:
            return
        asked = [(one.lease, one.seconds) for one in group]
        writing = self._database.write(partial(extend_leases, asked=asked, clock=self._clock))
        self._group = group
        self._under_way = asyncio.get_running_loop().create_task(writing)
        self._under_way.add_done_callback(self._settle)

    def _let_go(self) -> None:
        """A group that nobody waits for any more need not be tried again."""
        if self._under_way is not None and all(one.answer.done() for one in self._group):
            self._under_way.cancel()

    def _settle(self, done: asyncio.Task[Sequence[LeaseLost | None]]) -> None:
        """Tell every caller, then go on with those that came meanwhile."""
        group, self._group, self._under_way = self._group, [], None
        if done.cancelled():
            for one in group:
                one.answer.cancel()
        else:
            failure = done.exception()
            verdicts = [failure] * len(group) if failure is not None else done.result()
            for one, verdict in zip(group, verdicts, strict=True):
                _tell(one.answer, verdict)
        self._start()


def _tell(answer: asyncio.Future[None], verdict: BaseException | None) -> None:
    if answer.done():
        return
    if verdict is not None:
        answer.set_exception(verdict)
    else:
        answer.set_result(None)
