"""The seam between those who decide what runs and those who carry it."""

from __future__ import annotations

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

    Every attempt that was submitted ends in exactly one AttemptFinished or AttemptLost. When
    AttemptFinished is reported, every blob of its outcome stands in the master's blobs.
    """

    async def submit(self, assignment: Assignment, sink: AttemptSink) -> None:
        """Take an attempt; it waits inside the engine until there is room.

        Raises ValueError where an attempt of that id is under way.
        """
        ...

    async def cancel(self, attempt_id: str) -> None:
        """Stop an attempt, wherever it is. Harmless for one that ended or was never known."""
        ...
