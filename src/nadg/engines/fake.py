"""An engine without workers, for tests of what stands above engines: it calls a function per attempt."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from nadg.domain.assignment import Assignment
from nadg.domain.clock import Clock
from nadg.engines.fake_workers import (
    FAKE_ENVIRONMENT,
    FAKE_WORKER,
    Carrier,
    FakeWorkers,
    Say,
    WorkerGone,
    create_fake_outcome,
)
from nadg.engines.protocol import AttemptSink

__all__ = [
    "FAKE_ENVIRONMENT",
    "FAKE_WORKER",
    "Carrier",
    "FakeEngine",
    "FakeWorkers",
    "Say",
    "WorkerGone",
    "create_fake_outcome",
]


class FakeEngine:
    """Keeps the Engine's promises; `carry` says what comes of each attempt. An async context manager.

    `FakeEngine.over(workers)` is one of several masters of the same workers, which outlive it.
    """

    def __init__(
        self, carry: Carrier, clock: Clock, *, slots: int = 4, environment: str = FAKE_ENVIRONMENT
    ) -> None:
        self.workers = FakeWorkers(carry, clock, slots=slots, environment=environment)
        self._owns_workers = True
        self.submitted: list[Assignment] = []
        """Everything that was submitted, in order."""

    @classmethod
    def over(cls, workers: FakeWorkers) -> Self:
        """An engine whose attempts are carried by workers that others may use, too."""
        engine = cls(workers.carry, workers.clock)
        engine.workers, engine._owns_workers = workers, False
        return engine

    async def __aenter__(self) -> Self:
        if self._owns_workers:
            await self.workers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.workers.leave(self)
        if self._owns_workers:
            await self.workers.__aexit__(kind, error, trace)

    async def submit(self, assignment: Assignment, sink: AttemptSink) -> None:
        self._require_new(assignment)
        self.submitted.append(assignment)
        self.workers.take(assignment, sink, self)

    async def adopt(self, assignment: Assignment, sink: AttemptSink, worker: str) -> None:
        self._require_new(assignment)
        if self.workers.hand_over(assignment, sink, self):
            return
        if worker:
            self.workers.lose(assignment.attempt_id, sink, worker, f"{worker} does not have it any more")
        else:
            await self.submit(assignment, sink)

    def acknowledge(self, attempt_ids: Iterable[str]) -> None:
        for attempt_id in attempt_ids:
            self.workers.forget(attempt_id, self)

    def abandon(self, attempt_ids: Iterable[str]) -> None:
        for attempt_id in attempt_ids:
            self.workers.let_go(attempt_id, self)

    def free_slots(self, assignment_like: str) -> int:
        return self.workers.free_slots()

    def environments(self) -> frozenset[str]:
        return frozenset([self.workers.environment] if self.workers.environment else [])

    async def cancel(self, attempt_id: str) -> None:
        self.workers.cancel(attempt_id, self)

    def _require_new(self, assignment: Assignment) -> None:
        if self.workers.is_under_way(assignment.attempt_id, self):
            raise ValueError(f"attempt {assignment.attempt_id} is under way already")
