"""Masters come and go, links break, workers start and end things, in any order: each attempt is stored once.

The workers here are models that keep what the link's frames promise; the fleets are the real ones.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.events import AttemptLost, AttemptStarted
from nadg.link.frames import Ack, Adopt, Assign, Cancel, Finished, Frame, Holding, Refused
from tests.engines.test_fleet import AT, OUTCOME, Grid

NAMES = ("a", "b")


class Held(msgspec.Struct):
    master: int
    state: str = "waiting"


class ModelWorker:
    """Keeps attempts for masters, as a worker does."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.term = 0
        self.runs: Counter[str] = Counter()

    def take(self, master: int, frame: Frame) -> list[Frame]:
        match frame:
            case Assign(assignment=assignment):
                if assignment.term < self.term:
                    return [Refused(attempt_id=assignment.attempt_id, why="deposed", reason="deposed")]
                self.term = assignment.term
                self.held.setdefault(assignment.attempt_id, Held(master))
            case Cancel(attempt_id=attempt_id):
                held = self.held.get(attempt_id)
                if held is not None and held.master == master and held.state != "finished":
                    held.state = "finished"
                    return [Finished(attempt_id=attempt_id, outcome=OUTCOME)]
            case Ack(attempt_ids=attempt_ids):
                for attempt_id in attempt_ids:
                    held = self.held.get(attempt_id)
                    if held is not None and held.master == master and held.state == "finished":
                        del self.held[attempt_id]
            case Adopt():
                return self._adopt(master, frame)
            case _:
                raise AssertionError(frame)
        return []

    def _adopt(self, master: int, frame: Adopt) -> list[Frame]:
        if frame.term < self.term:
            return [Holding(run_id=frame.run_id, term=frame.term)]
        self.term = frame.term
        for held in self.held.values():
            held.master = master
        begun = tuple(one for one, held in self.held.items() if held.state != "waiting")
        told = Holding(run_id=frame.run_id, term=frame.term, attempts=tuple(self.held), started=begun)
        return [told, *self.ends(master)]

    def ends(self, master: int) -> list[Frame]:
        mine = [one for one, held in self.held.items() if held.master == master and held.state == "finished"]
        return [Finished(attempt_id=one, outcome=OUTCOME) for one in mine]


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.workers = {name: ModelWorker() for name in NAMES}
        self.grids: dict[int, Grid] = {}
        self.owner, self.term, self.read = 0, 0, 0
        self.begun_by: dict[str, str] = {}
        self.ended: Counter[str] = Counter()
        self.submitted: list[str] = []
        self.lost_unstored: set[str] = set()
        """Given up by an owner that was deposed before it could store that: they begin anew."""
        self.takeover(killed=True)

    names = st.sampled_from(NAMES)

    def deliver(self) -> None:
        """Carry frames both ways until none is left."""
        for master, grid in self.grids.items():
            while any(grid.sent.get(name) for name in NAMES):
                for name in NAMES:
                    frames = list(grid.sent.get(name, ()))
                    grid.sent.get(name, []).clear()
                    for frame in frames:
                        for answer in self.workers[name].take(master, frame):
                            self.hear(master, name, answer)
                grid.place()

    def hear(self, master: int, name: str, frame: Frame) -> None:
        grid = self.grids[master]
        node = grid.node(name)
        match frame:
            case Finished(attempt_id=attempt_id, outcome=outcome):
                grid.fleet.finished(node, attempt_id, outcome)
            case Holding():
                grid.fleet.holding(node, frame, grid.now)
            case Refused():
                grid.fleet.refused(node, frame, grid.now)
            case _:
                raise AssertionError(frame)

    def is_linked(self, master: int, name: str) -> bool:
        return master in self.grids and self.grids[master].node(name).send is not None

    @rule()
    def submit(self) -> None:
        attempt_id = f"r/s/{len(self.submitted)}/1"
        self.submitted.append(attempt_id)
        self.grids[self.owner].submit(attempt_id, term=self.term)
        self.deliver()

    @rule(name=names, data=st.data())
    def go_on(self, name: str, data: st.DataObject) -> None:
        """A worker begins or ends one of what it has."""
        worker = self.workers[name]
        able = sorted(one for one, held in worker.held.items() if held.state != "finished")
        if able:
            self.advance(name, data.draw(st.sampled_from(able)))

    def advance(self, name: str, attempt_id: str) -> None:
        worker = self.workers[name]
        held = worker.held[attempt_id]
        worker.runs[attempt_id] += held.state == "running"
        held.state = "finished" if held.state == "running" else "running"
        if self.is_linked(held.master, name):
            grid = self.grids[held.master]
            if held.state == "running":
                grid.fleet.started(grid.node(name), attempt_id, AT)
            else:
                grid.fleet.finished(grid.node(name), attempt_id, OUTCOME)
        self.deliver()

    @rule(name=names)
    def cut_or_connect(self, name: str) -> None:
        for master, grid in self.grids.items():
            if self.is_linked(master, name):
                grid.fleet.away(grid.node(name), "cut", grid.now)
                grid.sent[name].clear()
            else:
                self.connect(master, name)
        self.deliver()

    def connect(self, master: int, name: str) -> None:
        worker = self.workers[name]
        held = tuple(one for one, held in worker.held.items() if held.master == master)
        self.grids[master].up(name, held=held)
        for frame in worker.ends(master):
            self.hear(master, name, frame)

    @rule()
    def store(self) -> None:
        """The owner's events are committed, then acknowledged; another's would be refused."""
        events = self.grids[self.owner].sink.events[self.read :]
        self.read += len(events)
        for event in events:
            if isinstance(event, AttemptStarted):
                self.begun_by[event.attempt_id] = event.worker
            else:
                self.ended[event.attempt_id] += 1
                self.grids[self.owner].fleet.acknowledge([event.attempt_id])
        self.deliver()

    @rule(killed=st.booleans())
    def takeover(self, killed: bool) -> None:
        """Another master goes on from what is stored; the former one was killed, or lives on deposed."""
        old = self.grids.get(self.owner)
        open_ones = [one for one in self.submitted if not self.ended[one]]
        if old is not None:
            unstored = old.sink.events[self.read :]
            self.lost_unstored |= {one.attempt_id for one in unstored if isinstance(one, AttemptLost)}
        if old is not None and killed:
            del self.grids[self.owner]
        elif old is not None:
            old.fleet.abandon(self.submitted, old.now)
        self.owner, self.term, self.read = self.owner + 1, self.term + 1, 0
        grid = self.grids[self.owner] = Grid()
        for name in NAMES:
            grid.node(name)
        for attempt_id in open_ones:
            job, begun_by = Code(code="result = 1"), self.begun_by.get(attempt_id, "")
            assignment = Assignment(attempt_id=attempt_id, job=job, piece=Whole(), term=self.term)
            grid.fleet.adopt(assignment, grid.sink, begun_by, grid.now)
        for name in NAMES:
            self.connect(self.owner, name)
        self.deliver()

    @rule(seconds=st.sampled_from([0.1, 20.0]))
    def wait(self, seconds: float) -> None:
        for grid in self.grids.values():
            grid.place(after=seconds)
        self.deliver()

    @invariant()
    def none_is_stored_twice_or_run_twice_in_one_place(self) -> None:
        assert all(count == 1 for count in self.ended.values())
        for worker in self.workers.values():
            assert {one for one, count in worker.runs.items() if count > 1} <= self.lost_unstored

    def teardown(self) -> None:
        """Let everything come to its end: nothing is missing, and no worker keeps what is the owner's."""
        for name in NAMES:
            if not self.is_linked(self.owner, name):
                self.connect(self.owner, name)
        for _ in range(4 + 2 * len(self.submitted)):
            for name, worker in self.workers.items():
                for attempt_id in list(worker.held):
                    held = worker.held.get(attempt_id)
                    if held is not None and held.state != "finished":  # else it was cancelled by what came before
                        self.advance(name, attempt_id)
            self.store()
            self.wait(20.0)
        assert sorted(self.ended) == sorted(self.submitted)
        self.none_is_stored_twice_or_run_twice_in_one_place()
        left = [one for worker in self.workers.values() for one, held in worker.held.items()]
        kept_by_owner = [one for w in self.workers.values() for one, h in w.held.items() if h.master == self.owner]
        assert kept_by_owner == [], left


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
