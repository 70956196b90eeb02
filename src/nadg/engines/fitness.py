"""Which connected workers get work: not those that stop, that a person drains, or that are in quarantine."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence

from nadg.domain.outcome import Outcome
from nadg.domain.worker import WorkerInfo
from nadg.engines.health import Health, Quarantine
from nadg.engines.node import LINKED, Node, NodeState, Ticket
from nadg.engines.placement import Demand, lack, unmet_sentence

SHOWN_CHARACTERS = 200
"""So much of the last fault stands in a reason."""


class Fitness:
    """Keeps the health of all nodes of a fleet, and what follows for each."""

    def __init__(self, wall: Callable[[], datetime.datetime]) -> None:
        self._wall = wall
        self._health = Health()
        self._aside: dict[str, str] = {}
        """Who is in quarantine, with the reason."""

    # -- what happened

    def ended(self, node: Node, ticket: Ticket, outcome: Outcome) -> None:
        """An attempt that somebody waits for has ended there."""
        if outcome.kind == "crashed":
            self._health.fault(node.name, [_shard(ticket)], outcome.reason or "the attempt crashed")
        elif outcome.kind != "cancelled":
            node.ended_well += 1
            self._health.good(node.name, _shard(ticket))
            if node.place is not None and node.place.trial:
                self.settle(node)

    def failed(self, node: Node, tickets: Iterable[Ticket], reason: str) -> None:
        """The worker is to blame that these have no outcome."""
        if shards := [_shard(ticket) for ticket in tickets]:
            self._health.fault(node.name, shards, reason)

    def died(self, node: Node, reason: str) -> None:
        """It took everything with it; what had not begun is no loss."""
        self.failed(node, [ticket for ticket in node.in_flight.values() if ticket.started], reason)

    # -- what follows

    def settle(self, node: Node) -> None:
        """Let a node whose link is up be what it is now."""
        if node.place is None or node.state not in LINKED:
            return
        node.place.trial = self._health.on_trial(node.name)
        if node.stopping or node.held_back:
            node.state, node.reason = "draining", node.stopping or node.held_back
        elif (reason := self._aside.get(node.name)) is not None:
            node.state, node.reason = "quarantined", reason
        else:
            node.state, node.reason = "ready", ""

    def judge(self, nodes: Iterable[Node], now: float) -> bool:
        """Set nodes aside and let them go again; True where one may be other than before."""
        if not self._health.judge(now):
            return False
        old = self._aside
        self._aside = {
            name: old.get(name) or self._sentence(quarantine, now)
            for name, quarantine in self._health.quarantines().items()
        }
        for node in nodes:
            self.settle(node)
        return True

    def next_end(self) -> float | None:
        """When `judge` is due though nothing happens."""
        return self._health.next_end()

    def _sentence(self, quarantine: Quarantine, now: float) -> str:
        end = self._wall() + datetime.timedelta(seconds=quarantine.until - now)
        return f"until {end:%H:%M:%S} UTC, since it {quarantine.why[:SHOWN_CHARACTERS]}"


def unmet(nodes: Iterable[Node], demand: Demand) -> str | None:
    """One sentence on why no connected worker qualifies; None where one does, if only in a while."""
    return unmet_sentence(infos(nodes, "ready", "quarantined"), demand)


def overdue_sentence(nodes: Sequence[Node], demand: Demand) -> str:
    """Why an attempt waited for a worker in vain."""
    aside = [
        f"{node.name} is in quarantine {node.reason}"
        if node.state == "quarantined"
        else f"{node.name} is draining ({node.reason})"
        for node in nodes
        if node.state in ("quarantined", "draining") and node.info is not None and not lack(node.info, demand)
    ]
    if not aside:
        return unmet_sentence(infos(nodes, "ready"), demand) or "no worker is free"
    more = f", and {len(aside) - 3} more" if len(aside) > 3 else ""
    return f"no worker that qualifies may be used: {'; '.join(aside[:3])}{more}"


def infos(nodes: Iterable[Node], *states: NodeState) -> list[WorkerInfo]:
    """What the workers in these states say of themselves."""
    return [node.info for node in nodes if node.state in states and node.info is not None]


def _shard(ticket: Ticket) -> str:
    return ticket.attempt_id.rpartition("/")[0]
