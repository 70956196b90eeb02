"""Attempts taken over from another master, while it is not known which worker has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from nadg.domain.ids import run_of
from nadg.engines.node import Node, Ticket
from nadg.link.frames import Adopt


class Search(msgspec.Struct, kw_only=True, eq=False):
    """What is sought of one run."""

    run_id: str
    term: int
    until: float = 0.0
    """Who has not answered by then does not count."""
    tickets: dict[str, Ticket] = {}
    answered: dict[str, bool] = {}
    """Each URL that was asked on its present link: whether it answered."""

    def ask(self, nodes: Collection[Node]) -> None:
        """Put the question to every worker that has a link and was not asked on it."""
        for node in nodes:
            if node.send is not None and node.url not in self.answered:
                self.answered[node.url] = False
                node.say(Adopt(run_id=self.run_id, term=self.term))

    def missing(self, nodes: Collection[Node], now: float) -> list[Ticket]:
        """Those that no worker has, as far as can be known by now.

        An attempt whose worker may still be on its way into the grid is waited for.
        """
        if now >= self.until:
            return list(self.tickets.values())
        open_ones = [node for node in nodes if node.send is not None]
        unsure = any(node.state in ("connecting", "away") for node in nodes)
        if unsure or not open_ones or not all(self.answered.get(node.url) for node in open_ones):
            return []
        names = {node.name for node in nodes}
        return [one for one in self.tickets.values() if not one.begun_by or one.begun_by in names]


class Searches:
    """One search for each run that was taken over."""

    def __init__(self) -> None:
        self._by_run: dict[str, Search] = {}

    def __iter__(self) -> Iterator[Search]:
        return iter(list(self._by_run.values()))

    def add(self, ticket: Ticket, until: float) -> None:
        """Seek this one too; workers that answered before it was asked for are asked again."""
        run_id, term = run_of(ticket.attempt_id), ticket.assignment.term
        search = self._by_run.get(run_id)
        if search is None:
            search = self._by_run[run_id] = Search(run_id=run_id, term=term)
        if any(search.answered.values()) or search.term != term:
            search.answered.clear()
        search.term, search.until = term, until
        search.tickets[ticket.attempt_id] = ticket

    def seeks(self, attempt_id: str) -> bool:
        search = self._by_run.get(run_of(attempt_id))
        return search is not None and attempt_id in search.tickets

    def answer(self, run_id: str, term: int, node: Node) -> bool:
        """This worker said all that it has of the run. False where it was asked anew in another term since."""
        search = self._by_run.get(run_id)
        if search is None:
            return True
        if search.term == term and node.url in search.answered:
            search.answered[node.url] = True
        return search.term == term

    def take(self, attempt_id: str) -> Ticket | None:
        """End the search for one: it was found, is lost, or another master's."""
        search = self._by_run.get(run_of(attempt_id))
        if search is None:
            return None
        ticket = search.tickets.pop(attempt_id, None)
        if not search.tickets:
            del self._by_run[search.run_id]
        return ticket

    def relinked(self, node: Node) -> None:
        """Its link is another one, or none: it has to be asked again."""
        for search in self:
            search.answered.pop(node.url, None)
