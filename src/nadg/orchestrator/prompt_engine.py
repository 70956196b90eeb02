"""Carries prompt work at the master, through the one door to language models: no worker holds a key.

It keeps an engine's promises: every attempt ends in exactly one AttemptFinished or AttemptLost. One item
that a model will not or cannot answer is that item's failure, told in its place; a provider that is down is
nobody's fault: the attempt counts as lost, and the next try asks only for the answers that are missing,
since those given before are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from nadg.domain.blob import Blobs
from nadg.domain.clock import Clock
from nadg.domain.errors import BudgetSpent, ModelUnavailable
from nadg.domain.ids import parse_attempt_id
from nadg.engines.leaving import leave_tasks
from nadg.engines.protocol import AttemptSink
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.prompt_attempt import PromptAttempt
from nadg.orchestrator.prompt_parts import PromptAssignment

PAUSES_SECONDS = (5.0, 20.0)
"""After the first and after each further try that met a provider which was down."""


class PromptEngine:
    """An async context manager; its end calls off what is under way."""

    def __init__(
        self, access: ModelAccess, blobs: Blobs, clock: Clock, *, on_budget_spent: Callable[[str], None]
    ) -> None:
        self._access, self._blobs, self._clock = access, blobs, clock
        self._on_budget_spent = on_budget_spent
        self._room = asyncio.Semaphore(access.concurrency)
        # Each attempt that is let in has a question to ask: next to no room stays empty, and few hold their data.
        self._entrance = asyncio.Semaphore(access.concurrency)
        self._tasks = asyncio.TaskGroup()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._told: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._under_way.values():
            task.cancel()
        await leave_tasks(self._tasks, kind, error, trace)

    async def submit(self, assignment: PromptAssignment, sink: AttemptSink) -> None:
        """Take an attempt. Raises ValueError where one of that id is under way."""
        if assignment.attempt_id in self._under_way:
            raise ValueError(f"attempt {assignment.attempt_id} is under way already")
        attempt = PromptAttempt(assignment, sink, self._access, self._room, self._blobs, self._clock)
        task = self._tasks.create_task(self._carry(attempt))
        self._under_way[assignment.attempt_id] = task
        task.add_done_callback(lambda done: self._ended(attempt, done))

    async def cancel(self, attempt_id: str) -> None:
        """Stop an attempt; harmless for one that is not under way."""
        task = self._under_way.get(attempt_id)
        if task is not None:
            task.cancel()

    def under_way(self) -> list[asyncio.Task[None]]:
        """The attempts that have not ended; for who wants to wait for them."""
        return list(self._under_way.values())

    async def _carry(self, attempt: PromptAttempt) -> None:
        try:
            async with self._entrance:
                await attempt.carry()
        except BudgetSpent as error:
            self._on_budget_spent(str(error))
            attempt.lose(str(error))
        except ModelUnavailable as error:
            await self._wait_for_the_provider(attempt.assignment, error)
            attempt.crash(str(error))

    async def _wait_for_the_provider(self, assignment: PromptAssignment, down: ModelUnavailable) -> None:
        """A provider is seldom down for long: the next try, if there is one, comes only after a while.

        All that wait do so at the same time, outside the entrance, and the user is told once.
        """
        if not assignment.tries_left:
            return
        number = parse_attempt_id(assignment.attempt_id).number
        seconds = PAUSES_SECONDS[min(number, len(PAUSES_SECONDS)) - 1]
        told = f"{down}; trying again in {seconds:g} s"
        if told not in self._told:
            self._told.add(told)
            self._access.account.notice(told)
        await asyncio.sleep(seconds)

    def _ended(self, attempt: PromptAttempt, done: asyncio.Task[None]) -> None:
        del self._under_way[attempt.assignment.attempt_id]
        if done.cancelled():
            attempt.lose("cancelled")
