"""The seam between those who decide what runs and those who carry it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from nadg.domain.assignment import Assignment
from nadg.domain.events import AttemptEvent


class AttemptSink(Protocol):
    """Who is told what becomes of an attempt: plain calls on the event loop, which must not block."""

    def event(self, event: AttemptEvent) -> None: ...

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        """Live output, at best effort; the outcome carries the tail of each stream in any case."""
        ...


class Engine(Protocol):
    """Carries attempts.

    Every attempt that was submitted or adopted ends in exactly one AttemptFinished or AttemptLost, unless it is
    abandoned or acknowledged before. When AttemptFinished is reported, every blob of its outcome stands in the
    master's blobs; the outcome itself stays at its worker until it is acknowledged.
    """

    async def submit(self, assignment: Assignment, sink: AttemptSink) -> None:
        """Take an attempt; it waits inside the engine until there is room.

        Raises ValueError where an attempt of that id is under way.
        """
        ...

    async def adopt(self, assignment: Assignment, sink: AttemptSink, worker: str) -> None:
        """Take over an attempt that another master submitted, and that `worker` began where one is named.

        A worker that holds it hands it over, with its outcome where it has ended. Where none does, one that
        had begun is reported as lost, one that had not is placed anew. Raises ValueError as `submit` does.
        """
        ...

    def acknowledge(self, attempt_ids: Iterable[str]) -> None:
        """Their ends are in store: the worker that kept them may forget. Harmless for unknown ones.

        Of one that is still under way nothing more is reported: its worker forgets it when it ends, and whoever
        wants that soon cancels it before.
        """
        ...

    def abandon(self, attempt_ids: Iterable[str]) -> None:
        """Another master owns them now: report nothing more of them, and leave them where they are.

        Not for ever: what no other master has asked for long after is stopped and forgotten.
        """
        ...

    def free_slots(self, assignment_like: str) -> int:
        """How many more attempts like this one, by its id, could begin at once, others that wait served first."""
        ...

    def environments(self) -> frozenset[str]:
        """The environments of the workers that take work now; those that tell none are left out."""
        ...

    async def cancel(self, attempt_id: str) -> None:
        """Stop an attempt, wherever it is. Harmless for one that ended or was never known."""
        ...
