"""The state of a grid: which workers are there, what waits, what is where. No I/O and no clock reading.

Times come in as arguments; frames go out through each node's `send`. Whoever owns the fleet calls
`place` after something changed and `expire` when `next_deadline` has come.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable

from nadg.domain.assignment import Assignment
from nadg.domain.errors import LinkRefused
from nadg.domain.events import AttemptFinished, AttemptLost
from nadg.domain.outcome import Outcome
from nadg.engines.fitness import Fitness
from nadg.engines.lengths import remember
from nadg.engines.node import LINKED, Node, NodeState, Send, Ticket, create_ticket
from nadg.engines.placement import Place
from nadg.engines.protocol import AttemptSink
from nadg.engines.queue import BUSY_SECONDS, Queue
from nadg.engines.takeover import Takeover
from nadg.link.frames import Ack, Assign, Cancel, Hello, Holding, Refused


class Fleet:
    """Every attempt that was submitted or adopted, and not abandoned, ends in exactly one event to its sink."""

    def __init__(
        self, *, wall: Callable[[], datetime.datetime], grace_seconds: float, no_worker_seconds: float
    ) -> None:
        self._wall = wall
        self._grace_seconds = grace_seconds
        self.nodes: dict[str, Node] = {}
        self._fitness = Fitness(wall)
        self._tickets: dict[str, Ticket] = {}
        self._takeover = Takeover(self, wall=wall, grace_seconds=grace_seconds)
        self._queue = Queue(
            self.nodes,
            is_live=lambda ticket: self._tickets.get(ticket.attempt_id) is ticket,
            assign=self._assign,
            no_worker_seconds=no_worker_seconds,
        )
        self.version = 0

    # -- what the orchestrator asks for

    def submit(self, assignment: Assignment, sink: AttemptSink) -> None:
        """Put an attempt in line. Raises ValueError where one of that id is under way."""
        self.line_up(self._take_in(assignment, sink))

    def adopt(self, assignment: Assignment, sink: AttemptSink, worker: str, now: float) -> None:
        """Seek another master's attempt, begun by `worker` where one is named. Raises ValueError as `submit`."""
        self._takeover.seek(self._take_in(assignment, sink, worker), now)

    def acknowledge(self, attempt_ids: Iterable[str]) -> None:
        """Their ends are in store, and what is still under way of them may be forgotten where it is."""
        self._takeover.acknowledge(self._let_go(attempt_ids))

    def abandon(self, attempt_ids: Iterable[str], now: float) -> None:
        """They are another master's: tell nothing more of them, and leave them where they are for a while."""
        self._takeover.abandon(self._let_go(attempt_ids), now)

    def cancel(self, attempt_id: str) -> None:
        """Stop an attempt: at once where it waits here; where a worker has it, the worker says how it ended."""
        ticket = self._tickets.get(attempt_id)
        if ticket is None or ticket.cancelled:
            return
        ticket.cancelled = True
        if ticket.node is not None:
            ticket.node.say(Cancel(attempt_id=attempt_id))
        elif not self._takeover.seeks(attempt_id):  # else whoever has it is told when it is found
            self.lose(ticket, "cancelled before a worker had it")

    def free_slots(self, attempt_id: str) -> int:
        """Slots that another attempt like this one could have now; none where it is unknown, or others wait."""
        ticket = self._tickets.get(attempt_id)
        return self._queue.free_slots(ticket) if ticket is not None else 0

    @property
    def waiting(self) -> int:
        """How many attempts no worker has yet."""
        return len(self._queue)

    # -- what links report

    def up(self, node: Node, hello: Hello, send: Send, now: float) -> None:
        """A link opened. Raises LinkRefused where another URL leads to a worker of that name."""
        info = hello.worker
        if info is None:
            raise LinkRefused("the worker does not say what it is")
        for other in self.nodes.values():
            if other is not node and other.name == info.name and other.state in (*LINKED, "away"):
                raise LinkRefused(f"a worker named {info.name} is connected already, as {other.url}")
        if node.boot_id != hello.peer_id:
            self._lose_all(node, f"worker {info.name} was restarted", fault="it was restarted")
            node.place = None
            node.strays.clear()
        holds = node.place.holds if node.place else {}
        node.boot_id = hello.peer_id
        node.place = Place(
            url=node.url, info=info, window=max(hello.window, 1), in_flight=len(node.in_flight), holds=holds
        )
        node.send, node.lost_at, node.busy_until, node.stopping = send, None, 0.0, info.draining
        self._takeover.relinked(node)
        self._set_state(node, "ready", "")
        self._resume(node, frozenset(hello.attempts))

    def away(self, node: Node, reason: str, now: float, state: NodeState = "away") -> None:
        """The link is gone; its attempts may still be running."""
        node.send = None
        self._takeover.relinked(node)
        if node.in_flight and node.lost_at is None:
            node.lost_at = now + self._grace_seconds
        self._set_state(node, state, reason)

    def gone(self, node: Node, reason: str) -> None:
        """The worker is known to be dead."""
        self._drop(node, reason, fault=reason)

    def _drop(self, node: Node, reason: str, fault: str = "") -> None:
        node.send = None
        self._takeover.relinked(node)
        self._lose_all(node, reason, fault)
        self._set_state(node, "dead", reason)

    def drain(self, node: Node, reason: str) -> None:
        """The worker takes no more."""
        node.stopping = reason or "it stops"
        self._set_state(node, node.state, node.reason)

    def hold_back(self, node: Node, reason: str) -> None:
        """Give it nothing new, over links too; with an empty reason it is used again."""
        if node.held_back != reason:
            node.held_back = reason
            self._set_state(node, node.state, node.reason)

    def started(self, node: Node, attempt_id: str, at: datetime.datetime) -> None:
        ticket = node.in_flight.get(attempt_id)
        if ticket is not None and not ticket.started:
            ticket.tell_started(node.name, at)

    def holding(self, node: Node, frame: Holding, now: float) -> None:
        """A worker says what it has of a run that was taken over."""
        self._takeover.holding(node, frame, now)

    def output(self, node: Node, attempt_id: str, stream: str, text: str) -> None:
        ticket = node.in_flight.get(attempt_id)
        if ticket is not None:
            ticket.sink.output(attempt_id, stream, text)

    def finished(self, node: Node, attempt_id: str, outcome: Outcome) -> None:
        """A worker's end of an attempt is here, blobs included; also for one that nobody waits for any more.

        The worker keeps an end that is reported until `acknowledge`; one that nobody will ask for it may forget.
        """
        ticket = node.take_back(attempt_id)
        if ticket is not None:
            self._queue.lengths.learn(node, ticket, outcome)
            self._fitness.ended(node, ticket, outcome)
            del self._tickets[attempt_id]
            self._takeover.reported(attempt_id, node)
            ticket.sink.event(AttemptFinished(attempt_id=attempt_id, outcome=outcome))
        elif not self._takeover.is_open(attempt_id, node):
            node.say(Ack(attempt_ids=(attempt_id,)), soon=False)

    def unusable(self, node: Node, attempt_id: str, reason: str, *, at_fault: bool = True) -> None:
        """A worker's end of an attempt came, but not what it refers to; `at_fault`: by the worker's doing."""
        ticket = node.take_back(attempt_id)
        if ticket is not None:
            if at_fault:
                self._fitness.failed(node, [ticket], reason)
            self.lose(ticket, reason, worker=node.name)
            node.say(Ack(attempt_ids=(attempt_id,)), soon=False)

    def refused(self, node: Node, frame: Refused, now: float) -> None:
        """An assignment came back."""
        ticket = node.take_back(frame.attempt_id)
        if ticket is None:
            return
        if ticket.cancelled or frame.why == "deposed":
            self.lose(ticket, "cancelled before a worker had it" if ticket.cancelled else frame.reason)
            return
        if frame.why == "busy":
            node.busy_until = now + BUSY_SECONDS
        else:
            ticket.refused_by(node.name)
        self._queue.put_back(ticket)

    # -- tickets

    def line_up(self, ticket: Ticket) -> None:
        """Let it wait for a worker."""
        self._queue.append(ticket)

    def lose(self, ticket: Ticket, reason: str, worker: str = "") -> None:
        """End an attempt that no worker will end."""
        if self._tickets.pop(ticket.attempt_id, None) is not None:
            self._takeover.end(ticket.attempt_id)
            lost = AttemptLost(attempt_id=ticket.attempt_id, worker=worker, reason=reason, at=self._wall())
            ticket.sink.event(lost)

    # -- what the owner drives

    def place(self, now: float) -> None:
        """Send what can be sent: one of each line in turn, so that no run waits for another's last shard."""
        self._takeover.ask(self.nodes.values())
        self._judge(now)
        self._queue.serve(now)

    def expire(self, now: float) -> None:
        """Give up what has waited too long: for a worker's return, or for any worker at all."""
        for node in self.nodes.values():
            if node.lost_at is not None and node.lost_at <= now:
                self._lose_all(
                    node, f"worker {node.name} was lost: {node.reason}", fault=f"it was lost: {node.reason}"
                )
        self._takeover.settle(self.nodes.values(), now)
        self._judge(now)
        for ticket, reason in self._queue.overdue(now):
            self.lose(ticket, reason)

    def next_deadline(self) -> float | None:
        """When `expire` or `place` is due though nothing happens."""
        deadlines = [node.lost_at for node in self.nodes.values() if node.lost_at is not None]
        if (quarantine_end := self._fitness.next_end()) is not None:
            deadlines.append(quarantine_end)
        deadlines.extend(self._queue.deadlines())
        deadlines.extend(self._takeover.deadlines(self.nodes.values()))
        return min(deadlines, default=None)

    def forget(self, node: Node, reason: str) -> None:
        """Take a worker out of the grid; what it had is lost."""
        self._drop(node, reason)
        self.nodes.pop(node.url, None)

    def lose_everything(self, reason: str) -> None:
        """The grid closes."""
        for ticket in list(self._tickets.values()):
            self.lose(ticket, reason, worker=ticket.node.name if ticket.node else "")

    # -- within

    def _let_go(self, attempt_ids: Iterable[str]) -> dict[str, Node | None]:
        """Tell nothing more of those of them that are under way. Returns all, each with who has it under way."""
        where: dict[str, Node | None] = dict.fromkeys(attempt_ids)
        for ticket in [self._tickets.pop(one) for one in where if one in self._tickets]:
            self._takeover.end(ticket.attempt_id)
            where[ticket.attempt_id] = node = ticket.node
            if node is not None:
                node.take_back(ticket.attempt_id)
        return where

    def _take_in(self, assignment: Assignment, sink: AttemptSink, begun_by: str = "") -> Ticket:
        if assignment.attempt_id in self._tickets:
            raise ValueError(f"attempt {assignment.attempt_id} is under way already")
        ticket = self._tickets[assignment.attempt_id] = create_ticket(assignment, sink, begun_by)
        return ticket

    def _set_state(self, node: Node, state: NodeState, reason: str) -> None:
        node.state, node.reason = state, reason
        self._fitness.settle(node)
        self.version += 1

    def _judge(self, now: float) -> None:
        """Who may be used now, and who of those qualifies for what waits."""
        if self._fitness.judge(self.nodes.values(), now):
            self.version += 1
        self._queue.judge(self.version, now)

    def _assign(self, ticket: Ticket, node: Node, place: Place) -> None:
        try:
            node.say(Assign(assignment=ticket.assignment), soon=place.in_flight < place.info.slots)
        except LinkRefused as error:
            self.lose(ticket, f"the assignment cannot be sent: {error}")
            return
        node.give(ticket)
        remember(place, ticket.blobs)

    def _resume(self, node: Node, held: frozenset[str]) -> None:
        """After a reconnect: what the worker has goes on, what never reached it is sent again."""
        for attempt_id, ticket in list(node.in_flight.items()):
            if attempt_id in held:
                if ticket.cancelled:
                    node.say(Cancel(attempt_id=attempt_id))
            elif ticket.started or ticket.cancelled:
                node.take_back(attempt_id)
                self.lose(ticket, f"worker {node.name} no longer has it", worker=node.name)
            else:
                node.say(Assign(assignment=ticket.assignment))
        self._takeover.resumed(node, held)

    def _lose_all(self, node: Node, reason: str, fault: str = "") -> None:
        """`fault` is what the worker is to blame for, where it is."""
        if fault:
            self._fitness.died(node, fault)
        for attempt_id, ticket in list(node.in_flight.items()):
            node.take_back(attempt_id)
            self.lose(ticket, reason, worker=node.name)
        node.lost_at = None
