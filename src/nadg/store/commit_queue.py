"""Commits that arrive while others are being written wait together and become the next group."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Sequence

from nadg.domain.clock import Clock
from nadg.store.database import Database
from nadg.store.group import Commit, Verdict, commit_group

GROUP_CHANGES = 2_000
"""A group takes no further commit once it holds so many changes: some 50 ms of writing that others wait for."""


class CommitQueue:
    """Groups the commits of one event loop; at most one group is under way."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: deque[tuple[Commit, asyncio.Future[int]]] = deque()
        self._under_way: asyncio.Future[list[Verdict]] | None = None

    async def commit(self, commit: Commit) -> int:
        """The number of the commit's last event, once its group is committed."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((commit, answer))
        self._start()
        return await answer

    async def drain(self) -> None:
        """Return when nothing waits and nothing is under way."""
        while self._under_way is not None:
            await asyncio.wait([self._under_way])

    def _start(self) -> None:
        """Hand the next group to the writing thread, if it is idle."""
        if self._under_way is not None:
            return
        group = self._take_group()
        if not group:
            return
        commits = [commit for commit, _ in group]
        self._under_way = self._database.write_soon(
            functools.partial(commit_group, commits=commits, now=self._clock.now())
        )
        self._under_way.add_done_callback(functools.partial(self._settle, [answer for _, answer in group]))

    def _take_group(self) -> list[tuple[Commit, asyncio.Future[int]]]:
        """The commits whose turn it is; those whose caller went away are dropped unwritten."""
        group: list[tuple[Commit, asyncio.Future[int]]] = []
        changes = 0
        while self._waiting and changes < GROUP_CHANGES:
            commit, answer = self._waiting.popleft()
            if not answer.done():
                group.append((commit, answer))
                changes += len(commit.changes)
        return group

    def _settle(self, answers: Sequence[asyncio.Future[int]], done: asyncio.Future[list[Verdict]]) -> None:
        """Tell every caller, then go on with those that came meanwhile."""
        failure = done.exception()
        verdicts: Sequence[Verdict | BaseException] = (
            done.result() if failure is None else [failure] * len(answers)
        )
        for answer, verdict in zip(answers, verdicts, strict=True):
            if answer.done():
                continue
            if isinstance(verdict, BaseException):
                answer.set_exception(verdict)
            else:
                answer.set_result(verdict)
        self._under_way = None
        self._start()
