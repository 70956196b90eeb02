"""Attempts that wait for a worker: one line for each demand, served in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from nadg.engines.node import Ticket
from nadg.engines.placement import Demand, Place, qualified


class Line:
    """Attempts of one demand, in order."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        self.queue: deque[Ticket] = deque()
        self.able: list[Place] = []
        self.judged_version = -1
        self.unmet_since: float | None = None
        """Since when no connected worker qualifies."""

    def judge(self, ready: Callable[[], list[Place]], version: int, now: float) -> None:
        """Know who qualifies; `version` tells whether the fleet is another than last time."""
        if self.judged_version != version:
            self.able = qualified(ready(), self.demand)
            self.judged_version = version
        if self.able:
            self.unmet_since = None
        elif self.unmet_since is None:
            self.unmet_since = now


class WaitingLines:
    """All lines. An attempt that was cancelled stays until it is met, and is then passed over."""

    def __init__(self, is_live: Callable[[Ticket], bool]) -> None:
        self._is_live = is_live
        self._lines: dict[Demand, Line] = {}

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def __len__(self) -> int:
        return sum(self._is_live(ticket) for line in self for ticket in line.queue)

    def append(self, ticket: Ticket) -> None:
        self._line(ticket.demand).queue.append(ticket)

    def put_back(self, ticket: Ticket) -> None:
        """To the front: it had its turn before."""
        self._line(ticket.demand).queue.appendleft(ticket)

    def serve(self, place_first: Callable[[Line, Ticket], bool]) -> None:
        """Offer the first of each line in turn, round after round, until no line gets anything placed.

        So a run with a thousand shards does not hold up one that came later with two.
        """
        lines = [line for line in self if line.able]
        while lines:
            lines = [line for line in lines if (ticket := self._first(line)) and place_first(line, ticket)]
        for demand in [demand for demand, line in self._lines.items() if not line.queue]:
            del self._lines[demand]

    def overdue(self, now: float, patience_seconds: float) -> list[Ticket]:
        """Take out what nobody could do for so long."""
        found: list[Ticket] = []
        for line in self:
            if line.unmet_since is not None and line.unmet_since + patience_seconds <= now:
                found.extend(line.queue)
                line.queue.clear()
        return found

    def earliest_unmet(self) -> float | None:
        """Since when the longest unmet line waits."""
        since = [line.unmet_since for line in self if line.queue and line.unmet_since is not None]
        return min(since, default=None)

    def _first(self, line: Line) -> Ticket | None:
        while line.queue and not self._is_live(line.queue[0]):
            line.queue.popleft()
        return line.queue[0] if line.queue else None

    def _line(self, demand: Demand) -> Line:
        line = self._lines.get(demand)
        if line is None:
            line = self._lines[demand] = Line(demand)
        return line
