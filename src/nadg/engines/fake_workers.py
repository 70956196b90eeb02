"""What carries the attempts of fake engines. As real workers do, it outlives a master and keeps what it has."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
FAKE_ENVIRONMENT = "fake-environment"


class WorkerGone(Exception):
    """Raised by a carrier: the worker went away in mid-attempt."""


Say = Callable[[str, str], None]
Carrier = Callable[[Assignment, Say], Awaitable[Outcome]]
"""Carries one attempt; may call `say(stream, text)`. A cancelled attempt cancels it."""


@dataclass(slots=True)
class _Held:
    """An attempt at the workers, until its end is acknowledged."""

    assignment: Assignment
    owner: object | None
    """The engine it is reported to; None where that let go of it, and nobody took it over yet."""
    sink: AttemptSink
    task: asyncio.Task[None] | None = None
    unwanted: bool = False
    """Its end is in store before it came: it is forgotten as soon as it does."""
    started: AttemptStarted | None = None
    finished: AttemptFinished | None = None

    def tell(self, event: AttemptStarted | AttemptFinished | AttemptLost) -> None:
        if self.owner is not None:
            self.sink.event(event)


class FakeWorkers:
    """Carries the attempts of one or more engines in so many slots. An async context manager."""

    def __init__(
        self, carry: Carrier, clock: Clock, *, slots: int = 4, environment: str = FAKE_ENVIRONMENT
    ) -> None:
        self.carry, self.clock, self.environment = carry, clock, environment
        self._slots, self._room = slots, asyncio.Semaphore(slots)
        self._tasks = asyncio.TaskGroup()
        self._held: dict[str, _Held] = {}

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in self._held.values():
            if held.task is not None:
                held.task.cancel()
        await leave_tasks(self._tasks, kind, error, trace)

    @property
    def kept(self) -> list[str]:
        """Attempts that ended and that nobody acknowledged yet."""
        return [attempt_id for attempt_id, held in self._held.items() if held.finished is not None]

    def is_under_way(self, attempt_id: str, owner: object) -> bool:
        """Whether it has not ended and is this owner's."""
        held = self._held.get(attempt_id)
        return held is not None and held.owner is owner and held.finished is None

    def take(self, assignment: Assignment, sink: AttemptSink, owner: object) -> None:
        """Carry it as soon as there is room."""
        held = self._held[assignment.attempt_id] = _Held(assignment, owner, sink)
        held.task = self._tasks.create_task(self._attempt(held))
        held.task.add_done_callback(lambda task: self._ended(held, task))

    def hand_over(self, assignment: Assignment, sink: AttemptSink, owner: object) -> bool:
        """Report to this owner from now on, if it is here and was not given under a later term."""
        held = self._held.get(assignment.attempt_id)
        if held is None or held.assignment.term > assignment.term:
            return False
        held.assignment, held.owner, held.sink, held.unwanted = assignment, owner, sink, False
        for event in (held.started, held.finished):
            if event is not None:
                held.tell(event)
        return True

    def let_go(self, attempt_id: str, owner: object) -> None:
        """Report nothing more of it to this owner, and carry it on."""
        held = self._held.get(attempt_id)
        if held is not None and held.owner is owner:
            held.owner = None

    def leave(self, owner: object) -> None:
        """This owner has nothing more here: what it did not let go of is called off."""
        for attempt_id in list(self._held):
            self.cancel(attempt_id, owner)

    def cancel(self, attempt_id: str, owner: object) -> None:
        """Stop it, if it is this owner's."""
        held = self._held.get(attempt_id)
        if held is not None and held.owner is owner and held.task is not None:
            held.task.cancel()

    def forget(self, attempt_id: str, owner: object) -> None:
        """Its end is in store."""
        held = self._held.get(attempt_id)
        if held is not None and held.finished is not None:
            del self._held[attempt_id]
        elif held is not None and held.owner is owner:
            held.owner, held.unwanted = None, True

    def free_slots(self) -> int:
        """How many more could begin at once."""
        return max(0, self._slots - sum(held.finished is None for held in self._held.values()))

    def lose(self, attempt_id: str, sink: AttemptSink, worker: str, reason: str) -> None:
        """Tell that nothing is known of its end."""
        sink.event(AttemptLost(attempt_id=attempt_id, worker=worker, reason=reason, at=self.clock.now()))

    async def _attempt(self, held: _Held) -> None:
        attempt_id = held.assignment.attempt_id
        async with self._room:
            held.started = AttemptStarted(attempt_id=attempt_id, worker=FAKE_WORKER, at=self.clock.now())
            held.tell(held.started)
            try:
                outcome = await self.carry(held.assignment, lambda *said: held.sink.output(attempt_id, *said))
            except WorkerGone as error:
                self._lost(held, str(error))
            else:
                held.finished = AttemptFinished(attempt_id=attempt_id, outcome=outcome)
                held.tell(held.finished)
                if held.unwanted:
                    del self._held[attempt_id]

    def _ended(self, held: _Held, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._lost(held, "cancelled")

    def _lost(self, held: _Held, reason: str) -> None:
        """It is gone without an outcome; where nobody owns it, its next owner finds that it is not here."""
        del self._held[held.assignment.attempt_id]
        if held.owner is not None:
            self.lose(held.assignment.attempt_id, held.sink, FAKE_WORKER, reason)


def create_fake_outcome(
    assignment: Assignment,
    clock: Clock,
    *,
    kind: OutcomeKind = "succeeded",
    result: bytes = b"null",
    per_item: bool = False,
    reason: str = "",
    environment: str = FAKE_ENVIRONMENT,
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
        environment=environment,
    )
    value = Value(inline=result) if kind == "succeeded" else None
    return Outcome(kind=kind, receipt=receipt, reason=reason, result=value, per_item=per_item)
