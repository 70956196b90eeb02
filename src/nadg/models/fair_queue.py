"""Who goes next: the runs take turns, and within a run first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """Something that waits on behalf of a run."""

    @property
    def run_id(self) -> str: ...


QueuedType = TypeVar("QueuedType", bound=Queued)


class FairQueue(Generic[QueuedType]):
    """A round robin over runs. Before the nth of a run goes, no other run has had more than n turns."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[QueuedType]] = {}
        """In the order of their turns."""

    def __len__(self) -> int:
        return sum(map(len, self._runs.values()))

    def __iter__(self) -> Iterator[QueuedType]:
        for waiting in self._runs.values():
            yield from waiting

    @property
    def head(self) -> QueuedType | None:
        """Whose turn it is."""
        return next(iter(self._runs.values()))[0] if self._runs else None

    def add(self, one: QueuedType) -> None:
        self._runs.setdefault(one.run_id, deque()).append(one)

    def pop(self) -> QueuedType:
        """Take out the head; its run's next turn comes after those of the other runs. Raises IndexError."""
        head = self.head
        if head is None:
            raise IndexError("nobody waits")
        waiting = self._runs.pop(head.run_id)
        waiting.popleft()
        if waiting:
            self._runs[head.run_id] = waiting
        return head

    def remove(self, one: QueuedType) -> None:
        """Take out one that waits no more; harmless if it is out already."""
        waiting = self._runs.get(one.run_id)
        if waiting is None or one not in waiting:
            return
        waiting.remove(one)
        if not waiting:
            del self._runs[one.run_id]

    def ahead(self, one: QueuedType) -> int:
        """How many go before it, if nobody else comes or leaves."""
        place = self._runs[one.run_id].index(one)
        before, found = place, False
        for run_id, waiting in self._runs.items():
            if run_id == one.run_id:
                found = True
            else:
                before += min(len(waiting), place if found else place + 1)
        return before
