"""Commits that arrive while others are being written wait together and become the next group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from nadg.domain.clock import Clock
from nadg.store.database import Database
from nadg.store.group import Commit
from nadg.store.group_tries import Answer, GroupTries, Waiting

GROUP_CHANGES = 2_000
"""A group takes no further commit once it holds so many changes: some 50 ms of writing that others wait for."""


class CommitQueue:
    """Groups the commits of one event loop; at most one group is under way."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: deque[Waiting] = deque()
        self._group: Sequence[Waiting] = ()
        self._under_way: asyncio.Task[Sequence[Answer]] | None = None

    async def commit(self, commit: Commit) -> int:
        """The number of the commit's last event, once its group is committed."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(commit, answer))
        self._start()
        try:
            return await answer
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
        group = self._take_group()
        if not group:
            return
        tries = GroupTries(group, self._clock.now())
        self._group = group
        self._under_way = asyncio.get_running_loop().create_task(self._database.write(tries.write))
        self._under_way.add_done_callback(self._settle)

    def _take_group(self) -> list[Waiting]:
        """The commits whose turn it is; those whose caller went away are dropped unwritten."""
        group: list[Waiting] = []
        changes = 0
        while self._waiting and changes < GROUP_CHANGES:
            one = self._waiting.popleft()
            if one.is_wanted():
                group.append(one)
                changes += len(one.commit.changes)
        return group

    def _let_go(self) -> None:
        """A group that nobody waits for any more need not be tried again."""
        if self._under_way is not None and not any(one.is_wanted() for one in self._group):
            self._under_way.cancel()

    def _settle(self, done: asyncio.Task[Sequence[Answer]]) -> None:
        """Tell every caller, then go on with those that came meanwhile."""
        group, self._group, self._under_way = self._group, (), None
        if done.cancelled():
            for one in group:
                one.answer.cancel()
        elif (failure := done.exception()) is not None:
            for one in group:
                _tell(one.answer, failure)
        else:
            for answer, verdict in done.result():
                _tell(answer, verdict)
        self._start()


def _tell(answer: asyncio.Future[int], verdict: int | BaseException) -> None:
    if answer.done():
        return
    if isinstance(verdict, BaseException):
        answer.set_exception(verdict)
    else:
        answer.set_result(verdict)
