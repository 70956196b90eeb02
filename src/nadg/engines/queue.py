"""The attempts of a fleet that wait for a worker, and who gets the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from nadg.engines.fitness import overdue_sentence
from nadg.engines.lengths import Lengths
from nadg.engines.node import Node, Ticket
from nadg.engines.placement import Place, choose, room_for
from nadg.engines.waiting import Line, WaitingLines

BUSY_SECONDS = 0.5
"""How long a worker that said `busy` is left alone."""


class Queue:
    """Serves the nodes of a fleet; `assign` sends an attempt to one of them."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        *,
        is_live: Callable[[Ticket], bool],
        assign: Callable[[Ticket, Node, Place], None],
        no_worker_seconds: float,
    ) -> None:
        self._nodes, self._assign = nodes, assign
        self.lengths = Lengths()
        self._no_worker_seconds = no_worker_seconds
        self._lines = WaitingLines(is_live)
        self._busy: set[str] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, ticket: Ticket) -> None:
        """Let it wait for its turn."""
        self._lines.append(ticket)

    def put_back(self, ticket: Ticket) -> None:
        """To the front: it had its turn before."""
        self._lines.put_back(ticket)

    def free_slots(self, ticket: Ticket) -> int:
        """Slots that another attempt like this one could have now, elsewhere; none where others wait for them."""
        own = (ticket.node.name,) if ticket.node is not None else ()
        free = room_for(self._ready(), msgspec.structs.replace(ticket.demand, avoid=own))
        return max(free - len(self._lines), 0) if free else 0

    def judge(self, version: int, now: float) -> None:
        """Know who qualifies for what waits; `version` tells whether the fleet is another than last time."""
        for line in self._lines:
            line.judge(self._ready, version, now)

    def serve(self, now: float) -> None:
        """Send what can be sent: one of each line in turn, so that no run waits for another's last shard."""
        self._busy = {node.url for node in self._nodes.values() if node.busy_until > now}
        self._lines.serve(self._place_first)

    def overdue(self, now: float) -> list[tuple[Ticket, str]]:
        """Take out what nobody could do for too long, each with the reason."""
        nodes = list(self._nodes.values())
        found = self._lines.overdue(now, self._no_worker_seconds)
        return [(ticket, overdue_sentence(nodes, ticket.demand)) for ticket in found]

    def deadlines(self) -> list[float]:
        """When `serve` or `overdue` is due though nothing happens."""
        deadlines = [self._nodes[url].busy_until for url in self._busy if url in self._nodes]
        unmet_since = self._lines.earliest_unmet()
        if unmet_since is not None:
            deadlines.append(unmet_since + self._no_worker_seconds)
        return deadlines

    def _ready(self) -> list[Place]:
        return [node.place for node in self._nodes.values() if node.state == "ready" and node.place is not None]

    def _place_first(self, line: Line, ticket: Ticket) -> bool:
        """Send the first attempt of this line. False where no worker has room."""
        places = line.able
        if self._busy:
            places = [place for place in places if place.url not in self._busy]
        place = choose(places, ticket.blobs, self.lengths.mean(line.demand.kind))
        if place is None:
            return False
        line.queue.popleft()
        self._assign(ticket, self._nodes[place.url], place)
        return True
