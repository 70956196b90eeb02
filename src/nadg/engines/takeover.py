"""Attempts that change hands between masters: sought here, kept for another, or held and asked for by nobody."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from nadg.engines.node import Node, Ticket
from nadg.engines.seeking import Searches
from nadg.engines.unacked import UnackedEnds
from nadg.link.frames import Ack, Cancel, Holding


class TicketLedger(Protocol):
    """Who keeps the attempts under way: the fleet."""

    def lose(self, ticket: Ticket, reason: str, worker: str = "") -> None: ...

    def line_up(self, ticket: Ticket) -> None: ...


class Takeover:
    """Finds what another master had under way, and knows which ends the workers still keep."""

    def __init__(
        self, ledger: TicketLedger, *, wall: Callable[[], datetime.datetime], grace_seconds: float
    ) -> None:
        self._ledger = ledger
        self._wall = wall
        self._grace_seconds = grace_seconds
        self._searches = Searches()
        self._unacked = UnackedEnds()

    def seek(self, ticket: Ticket, now: float) -> None:
        """Find the worker that has this attempt."""
        self._unacked.reclaim(ticket.attempt_id)
        self._searches.add(ticket, now + self._grace_seconds)

    def seeks(self, attempt_id: str) -> bool:
        """Whether it is not known yet who has it."""
        return self._searches.seeks(attempt_id)

    def end(self, attempt_id: str) -> None:
        """It is no longer sought."""
        self._searches.take(attempt_id)

    def reported(self, attempt_id: str, node: Node) -> None:
        """Its end was told; the worker keeps it until `acknowledge`."""
        self._unacked.reported(attempt_id, node)

    def acknowledge(self, attempt_ids: Iterable[str]) -> None:
        """Their ends are in store: the workers may forget."""
        self._unacked.acknowledge(attempt_ids)

    def abandon(self, where: Mapping[str, Node | None], now: float) -> None:
        """These attempts are another master's now; given is which worker has each under way."""
        for attempt_id, node in where.items():
            self._unacked.abandon(attempt_id, node, now)

    def is_open(self, attempt_id: str, node: Node) -> bool:
        """Whether the worker is to keep this attempt or its end, though no ticket says that it has it."""
        kept = self._unacked.is_kept(attempt_id, node)
        return kept or attempt_id in node.strays or self._searches.seeks(attempt_id)

    # -- what links report

    def relinked(self, node: Node) -> None:
        """Its link is another one, or none."""
        self._searches.relinked(node)

    def resumed(self, node: Node, held: frozenset[str]) -> None:
        """On a new link: stop what the worker has of this master's and nobody here wants or may want."""
        node.strays = {one: until for one, until in node.strays.items() if one in held}
        for attempt_id in held - node.in_flight.keys():
            if not self.is_open(attempt_id, node):
                node.say(Cancel(attempt_id=attempt_id))

    def holding(self, node: Node, frame: Holding, now: float) -> None:
        """A worker says what it has of a run; what nobody asked for yet may still be.

        What it had in an earlier term of this master's may be gone since: its next answer tells.
        """
        if not self._searches.answer(frame.run_id, frame.term, node):
            return
        begun = frozenset(frame.started)
        for attempt_id in frame.attempts:
            ticket = self._searches.take(attempt_id)
            if ticket is not None:
                self._found(node, ticket, attempt_id in begun)
            elif attempt_id not in node.in_flight and not self._unacked.is_kept(attempt_id, node):
                node.strays.setdefault(attempt_id, now + self._grace_seconds)

    # -- what the owner drives

    def ask(self, nodes: Collection[Node]) -> None:
        """Put to every worker the questions that it was not asked yet."""
        for search in self._searches:
            search.ask(nodes)

    def settle(self, nodes: Collection[Node], now: float) -> None:
        """Decide on what no worker has, and on what no master asked for."""
        for search in self._searches:
            for ticket in search.missing(nodes, now):
                self._not_found(ticket)
        for node in [node for node in nodes if node.strays]:
            self._give_up_strays(node, now)
        self._unacked.settle(now)

    def deadlines(self, nodes: Collection[Node]) -> list[float]:
        """When `settle` is due though nothing happens."""
        due = [next(iter(node.strays.values())) for node in nodes if node.strays]
        due.extend(search.until for search in self._searches)
        if (abandoned := self._unacked.deadline()) is not None:
            due.append(abandoned)
        return due

    # -- within

    def _found(self, node: Node, ticket: Ticket, begun: bool) -> None:
        """It goes on where it is. Its start is told where the other master did not come to note it."""
        node.strays.pop(ticket.attempt_id, None)
        node.give(ticket)
        if begun and ticket.begun_by:
            ticket.started = True
        elif begun:
            ticket.tell_started(node.name, self._wall())
        if ticket.cancelled:
            node.say(Cancel(attempt_id=ticket.attempt_id))

    def _not_found(self, ticket: Ticket) -> None:
        """No worker has it: what had begun is lost, what had not begins anew."""
        self._searches.take(ticket.attempt_id)
        if ticket.begun_by:
            reason = f"worker {ticket.begun_by} did not hand it to the master that took over"
            self._ledger.lose(ticket, reason, ticket.begun_by)
        elif ticket.cancelled:
            self._ledger.lose(ticket, "cancelled before a worker had it")
        else:
            self._ledger.line_up(ticket)

    def _give_up_strays(self, node: Node, now: float) -> None:
        """The worker may stop and forget what nobody asked for."""
        for attempt_id in [one for one, until in node.strays.items() if until <= now]:
            del node.strays[attempt_id]
            node.say(Cancel(attempt_id=attempt_id))
            node.say(Ack(attempt_ids=(attempt_id,)))
