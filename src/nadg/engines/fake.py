"""An engine without workers, for tests of what stands above engines: it calls a function per attempt."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from nadg.domain.assignment import Assignment
from nadg.domain.blob import Value
from nadg.domain.clock import Clock
from nadg.domain.events import AttemptFinished, AttemptLost, AttemptStarted
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.tier import Tier
from nadg.engines.leaving import leave_tasks
from nadg.engines.protocol import AttemptSink

FAKE_WORKER = "fake"


class WorkerGone(Exception):
    """Raised by a carrier: the worker went away in mid-attempt."""


Say = Callable[[str, str], None]
Carrier = Callable[[Assignment, Say], Awaitable[Outcome]]
"""Carries one attempt; may call `say(stream, text)`. A cancelled attempt cancels it."""


class FakeEngine:
    """Keeps the Engine's promises; `carry` says what comes of each attempt. An async context manager."""

    def __init__(self, carry: Carrier, clock: Clock, *, slots: int = 4) -> None:
        self._carry = carry
        self._clock = clock
        self._slots = asyncio.Semaphore(slots)
        self._tasks = asyncio.TaskGroup()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self.submitted: list[Assignment] = []
        """Everything that was submitted, in order."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._under_way.values():
            task.cancel()
        await leave_tasks(self._tasks, kind, error, trace)

    async def submit(self, assignment: Assignment, sink: AttemptSink) -> None:
        if assignment.attempt_id in self._under_way:
            raise ValueError(f"attempt {assignment.attempt_id} is under way already")
        self.submitted.append(assignment)
        task = self._tasks.create_task(self._attempt(assignment, sink))
        self._under_way[assignment.attempt_id] = task
        task.add_done_callback(lambda task: self._ended(assignment, sink, task))

    async def cancel(self, attempt_id: str) -> None:
        task = self._under_way.get(attempt_id)
        if task is not None:
            task.cancel()

    async def _attempt(self, assignment: Assignment, sink: AttemptSink) -> None:
        attempt_id = assignment.attempt_id
        async with self._slots:
            sink.event(AttemptStarted(attempt_id=attempt_id, worker=FAKE_WORKER, at=self._clock.now()))
            try:
                outcome = await self._carry(assignment, lambda stream, text: sink.output(attempt_id, stream, text))
            except WorkerGone as error:
                self._lose(attempt_id, sink, str(error))
            else:
                sink.event(AttemptFinished(attempt_id=attempt_id, outcome=outcome))

    def _ended(self, assignment: Assignment, sink: AttemptSink, task: asyncio.Task[None]) -> None:
        del self._under_way[assignment.attempt_id]
        if task.cancelled():
            self._lose(assignment.attempt_id, sink, "cancelled")

    def _lose(self, attempt_id: str, sink: AttemptSink, reason: str) -> None:
        at = self._clock.now()
        sink.event(AttemptLost(attempt_id=attempt_id, worker=FAKE_WORKER, reason=reason, at=at))


def create_fake_outcome(
    assignment: Assignment,
    clock: Clock,
    *,
    kind: OutcomeKind = "succeeded",
    result: bytes = b"null",
    per_item: bool = False,
    reason: str = "",
) -> Outcome:
    """An outcome as a worker would report it; `result` is encoded JSON."""
    at = clock.now()
    receipt = Receipt(
        worker=FAKE_WORKER,
        sandbox_tier=Tier.LANDLOCK,
        code_sha256=hashlib.sha256(assignment.attempt_id.encode()).hexdigest(),
        input_sha256s={},
        started_at=at,
        finished_at=at,
        exit_code=0 if kind == "succeeded" else 1,
    )
    value = Value(inline=result) if kind == "succeeded" else None
    return Outcome(kind=kind, receipt=receipt, reason=reason, result=value, per_item=per_item)
