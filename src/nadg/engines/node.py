"""One attempt under way and one worker URL, as the fleet keeps them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Literal

import msgspec

from nadg.domain.assignment import Assignment
from nadg.domain.events import AttemptStarted
from nadg.domain.worker import WorkerInfo
from nadg.engines.placement import Demand, Place, demand_of, large_blobs
from nadg.engines.protocol import AttemptSink
from nadg.link.frames import Frame

NodeState = Literal["connecting", "ready", "draining", "quarantined", "away", "refused", "dead"]
"""`away`: its link is gone; `refused`: one side does not accept the other; `dead`: known to be no more.

`draining` and `quarantined` ones have a link and get nothing new: the one stops or is told to drain, the other
failed too often by its own fault.
"""
LINKED: tuple[NodeState, ...] = ("ready", "draining", "quarantined")
"""The states of a node whose link is up."""


Send = Callable[[Frame, bool], None]
"""Puts a frame on its way; whether soon."""


class Ticket(msgspec.Struct, kw_only=True, eq=False):
    """One attempt under way; `node` is the worker that has it, None while it waits here."""

    assignment: Assignment
    sink: AttemptSink
    demand: Demand
    blobs: dict[str, int]
    node: Node | None = None
    started: bool = False
    cancelled: bool = False
    begun_by: str = ""
    """Taken over from another master: the worker that it says began it."""

    @property
    def attempt_id(self) -> str:
        return self.assignment.attempt_id

    def refused_by(self, worker: str) -> None:
        """This worker said that it cannot."""
        refusing = (*self.demand.refused_by, worker)
        self.demand = msgspec.structs.replace(self.demand, refused_by=refusing)

    def tell_started(self, worker: str, at: datetime.datetime) -> None:
        """It began on this worker."""
        self.started = True
        self.sink.event(AttemptStarted(attempt_id=self.attempt_id, worker=worker, at=at))


def create_ticket(assignment: Assignment, sink: AttemptSink, begun_by: str = "") -> Ticket:
    """One that no worker has yet."""
    demand, blobs = demand_of(assignment), large_blobs(assignment)
    return Ticket(assignment=assignment, sink=sink, demand=demand, blobs=blobs, begun_by=begun_by)


class Node:
    """One worker URL: who answers there, and what it was given."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.state: NodeState = "connecting"
        self.reason = ""
        self.boot_id = ""
        self.place: Place | None = None
        self.send: Send | None = None
        self.in_flight: dict[str, Ticket] = {}
        self.lost_at: float | None = None
        """When its attempts count as lost, while the link is gone."""
        self.busy_until = 0.0
        self.stopping = ""
        """Why the worker itself takes no more on this link; empty while it does."""
        self.held_back = ""
        """Why it gets nothing new from this master; kept over links."""
        self.ended_well = 0
        """Attempts that came to an end there by no fault of the worker."""
        self.strays: dict[str, float] = {}
        """Attempts of runs taken over that nobody here has asked for yet, and when they are given up."""

    @property
    def info(self) -> WorkerInfo | None:
        return self.place.info if self.place else None

    @property
    def name(self) -> str:
        return self.place.info.name if self.place else ""

    def say(self, frame: Frame, soon: bool = True) -> None:
        """Send a frame where there is a link; what matters is said again on a new one."""
        if self.send is not None:
            self.send(frame, soon)

    def give(self, ticket: Ticket) -> None:
        """Note that the worker has this attempt."""
        ticket.node = self
        self.in_flight[ticket.attempt_id] = ticket
        self._count()

    def take_back(self, attempt_id: str) -> Ticket | None:
        """Note that the worker no longer has this attempt."""
        ticket = self.in_flight.pop(attempt_id, None)
        if ticket is not None:
            ticket.node = None
            self._count()
        return ticket

    def _count(self) -> None:
        if self.place is not None:
            self.place.in_flight = len(self.in_flight)
