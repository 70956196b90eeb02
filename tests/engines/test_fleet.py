from __future__ import annotations

import datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.errors import LinkRefused
from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptLost, AttemptStarted
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.engines.fleet import Fleet
from nadg.engines.node import Node
from nadg.link.frames import Ack, Assign, Cancel, Frame, Hello, Refused

AT = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
RECEIPT = Receipt(
    worker="w", sandbox_tier=Tier.LANDLOCK, code_sha256="", input_sha256s={}, started_at=AT, finished_at=AT
)
OUTCOME = Outcome(kind="succeeded", receipt=RECEIPT)


class Sink:
    def __init__(self) -> None:
        self.events: list[AttemptEvent] = []

    def event(self, event: AttemptEvent) -> None:
        self.events.append(event)

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        pass

    def ends(self) -> list[AttemptFinished | AttemptLost]:
        return [event for event in self.events if not isinstance(event, AttemptStarted)]

    def reasons(self) -> list[str]:
        return [event.reason for event in self.ends() if isinstance(event, AttemptLost)]


class Grid:
    """A fleet with a hand-driven clock; what each node was sent is kept."""

    def __init__(self, *names: str, slots: int = 1) -> None:
        self.fleet = Fleet(wall=lambda: AT, grace_seconds=5, no_worker_seconds=10)
        self.now = 0.0
        self.sink = Sink()
        self.sent: dict[str, list[Frame]] = {}
        self.slots = slots
        for name in names:
            self.up(name)

    def node(self, name: str) -> Node:
        return self.fleet.nodes.setdefault(name, Node(name))

    def up(self, name: str, boot: str = "boot", held: tuple[str, ...] = (), url: str = "", **info: object) -> None:
        self.sent[name] = []
        worker = WorkerInfo(name=name, slots=self.slots, tier=Tier.LANDLOCK, **info)  # type: ignore[arg-type]
        hello = Hello(version=1, peer_id=boot, worker=worker, window=9, attempts=held)
        sent = self.sent[name]
        self.fleet.up(self.node(url or name), hello, lambda frame, soon: sent.append(frame), self.now)
        self.place()

    def submit(self, attempt_id: str = "r/s/0/1", **fields: object) -> None:
        job = Code(code="result = 1")
        assignment = Assignment(attempt_id=attempt_id, job=job, piece=Whole(), **fields)  # type: ignore[arg-type]
        self.fleet.submit(assignment, self.sink)
        self.place()

    def place(self, after: float = 0.0) -> None:
        self.now += after
        self.fleet.expire(self.now)
        self.fleet.place(self.now)

    def assigned(self, name: str) -> list[str]:
        return [frame.assignment.attempt_id for frame in self.sent[name] if isinstance(frame, Assign)]


def test_a_worker_that_stays_away_loses_each_attempt_once_started_or_not() -> None:
    grid = Grid("w", slots=2)
    grid.submit("r/s/0/1")
    grid.submit("r/s/1/1")
    grid.fleet.started(grid.node("w"), "r/s/0/1", AT)
    grid.fleet.away(grid.node("w"), "cut", grid.now)
    assert grid.fleet.next_deadline() == 5
    grid.place(after=4.9)
    assert grid.sink.ends() == []
    grid.place(after=0.2)
    grid.place(after=100)
    assert sorted(event.attempt_id for event in grid.sink.ends()) == ["r/s/0/1", "r/s/1/1"]
    assert grid.sink.reasons() == ["worker w was lost: cut"] * 2


def test_repeated_failures_to_reconnect_do_not_prolong_the_grace_time() -> None:
    grid = Grid("w")
    grid.submit()
    for _ in range(6):
        grid.fleet.away(grid.node("w"), "cut", grid.now)
        grid.place(after=1)
    assert len(grid.sink.ends()) == 1


def test_a_link_back_in_time_loses_nothing_and_sends_only_what_never_arrived() -> None:
    grid = Grid("w", slots=2)
    grid.submit("r/s/0/1")
    grid.submit("r/s/1/1")
    grid.fleet.away(grid.node("w"), "cut", grid.now)
    grid.now += 4
    grid.up("w", held=("r/s/0/1",))
    assert grid.assigned("w") == ["r/s/1/1"]
    grid.place(after=100)
    for attempt_id in ("r/s/0/1", "r/s/1/1"):
        grid.fleet.finished(grid.node("w"), attempt_id, OUTCOME)
        grid.fleet.finished(grid.node("w"), attempt_id, OUTCOME)
    assert [type(event) for event in grid.sink.ends()] == [AttemptFinished] * 2
    assert not any(isinstance(frame, Ack) for frame in grid.sent["w"]), "they are not in store yet"
    grid.fleet.acknowledge(["r/s/0/1", "r/s/1/1", "unknown"])
    assert grid.sent["w"][-1] == Ack(attempt_ids=("r/s/0/1", "r/s/1/1"))
    grid.fleet.finished(grid.node("w"), "r/s/0/1", OUTCOME)
    assert grid.sent["w"][-1] == Ack(attempt_ids=("r/s/0/1",)), "said once more, because the first got lost"


def test_a_restarted_worker_lost_what_its_former_self_had() -> None:
    grid = Grid("w")
    grid.submit()
    grid.fleet.away(grid.node("w"), "cut", grid.now)
    grid.up("w", boot="another")
    assert grid.sink.reasons() == ["worker w was restarted"]


def test_a_dead_worker_loses_at_once_and_the_rest_goes_on() -> None:
    grid = Grid("a", "b")
    grid.submit("r/s/0/1")
    grid.submit("r/s/1/1")
    grid.fleet.gone(grid.node("a"), "its process ended with signal SIGKILL")
    (lost,) = grid.sink.ends()
    assert (lost.attempt_id, grid.assigned("b")) == ("r/s/0/1", ["r/s/1/1"])
    grid.fleet.finished(grid.node("b"), "r/s/1/1", OUTCOME)
    grid.submit("r/s/0/2")
    assert grid.assigned("b") == ["r/s/1/1", "r/s/0/2"]


def test_nobody_qualifies_for_so_long_and_the_reason_is_told() -> None:
    grid = Grid("w")
    grid.submit(labels=("gpu",))
    grid.place(after=9.9)
    assert grid.sink.ends() == []
    grid.place(after=0.2)
    assert grid.sink.reasons() == ["no connected worker qualifies: w lacks the label gpu"]
    assert grid.sink.ends()[0].worker == ""  # type: ignore[union-attr]


def test_a_worker_that_comes_in_time_takes_what_nobody_could() -> None:
    grid = Grid()
    grid.submit()
    grid.place(after=9)
    grid.up("w")
    grid.place(after=100)
    assert (grid.assigned("w"), grid.sink.ends()) == (["r/s/0/1"], [])


def test_a_long_queue_is_no_reason_to_give_up() -> None:
    grid = Grid("w")
    grid.submit("r/s/0/1")
    grid.submit("r/s/1/1")
    grid.place(after=1000)
    assert grid.sink.ends() == []


def test_cannot_goes_elsewhere_and_never_back() -> None:
    grid = Grid("a", "b")
    grid.submit()
    grid.fleet.refused(grid.node("a"), Refused(attempt_id="r/s/0/1", why="cannot", reason="no"), grid.now)
    grid.place()
    grid.fleet.refused(grid.node("b"), Refused(attempt_id="r/s/0/1", why="cannot", reason="no"), grid.now)
    grid.place()
    grid.place(after=11)
    assert (grid.assigned("a"), grid.assigned("b")) == (["r/s/0/1"], ["r/s/0/1"])
    assert "said it cannot" in grid.sink.reasons()[0]


def test_busy_is_asked_again_after_a_while() -> None:
    grid = Grid("w")
    grid.submit()
    grid.fleet.refused(grid.node("w"), Refused(attempt_id="r/s/0/1", why="busy"), grid.now)
    grid.place()
    assert grid.assigned("w") == ["r/s/0/1"]
    assert grid.fleet.next_deadline() == 0.5
    grid.place(after=0.5)
    assert grid.assigned("w") == ["r/s/0/1"] * 2
    assert grid.fleet.next_deadline() is None


def test_an_avoided_worker_is_the_last_resort() -> None:
    grid = Grid("a", "b")
    grid.submit("r/s/0/2", avoid_workers=("a",))
    grid.submit("r/s/1/2", avoid_workers=("a", "b"))
    assert (grid.assigned("a"), grid.assigned("b")) == (["r/s/1/2"], ["r/s/0/2"])


def test_lines_are_served_in_turn() -> None:
    grid = Grid()
    for index in range(3):
        grid.submit(f"long/s/{index}/1")
    grid.submit("short/s/0/1")
    grid.slots = 2
    grid.up("w")
    assert grid.assigned("w") == ["long/s/0/1", "short/s/0/1"]


def test_cancel_before_a_worker_has_it_ends_it_and_it_is_never_sent() -> None:
    grid = Grid()
    grid.submit()
    grid.fleet.cancel("r/s/0/1")
    grid.fleet.cancel("r/s/0/1")
    grid.fleet.cancel("unknown")
    grid.up("w")
    assert (grid.sink.reasons(), grid.assigned("w")) == (["cancelled before a worker had it"], [])


def test_cancel_while_the_link_is_gone_reaches_the_worker_on_the_next_one() -> None:
    grid = Grid("w")
    grid.submit()
    grid.fleet.away(grid.node("w"), "cut", grid.now)
    grid.fleet.cancel("r/s/0/1")
    grid.up("w", held=("r/s/0/1",))
    assert grid.sent["w"] == [Cancel(attempt_id="r/s/0/1")]


def test_what_a_worker_holds_and_nobody_waits_for_is_cancelled() -> None:
    grid = Grid()
    grid.up("w", held=("old/s/0/1",))
    assert grid.sent["w"] == [Cancel(attempt_id="old/s/0/1")]
    grid.fleet.finished(grid.node("w"), "old/s/0/1", OUTCOME)
    assert grid.sent["w"][-1] == Ack(attempt_ids=("old/s/0/1",))


def test_two_urls_of_one_worker_are_refused() -> None:
    grid = Grid("w")
    with pytest.raises(LinkRefused, match="connected already, as w"):
        grid.up("w", url="http://elsewhere")


def test_an_attempt_under_way_cannot_be_submitted_again() -> None:
    grid = Grid("w")
    grid.submit()
    with pytest.raises(ValueError, match="r/s/0/1"):
        grid.submit()


def test_a_draining_worker_gets_nothing_new_and_ends_what_it_has() -> None:
    grid = Grid("w")
    grid.submit("r/s/0/1")
    grid.fleet.drain(grid.node("w"), "stops")
    grid.submit("r/s/1/1")
    grid.fleet.finished(grid.node("w"), "r/s/0/1", OUTCOME)
    grid.place()
    assert grid.assigned("w") == ["r/s/0/1"]
    assert [event.attempt_id for event in grid.sink.ends()] == ["r/s/0/1"]


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: every attempt ends exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = Grid()
        self.boots = 0
        self.submitted: list[str] = []
        self.on_worker: dict[str, set[str]] = {"a": set(), "b": set()}

    names = st.sampled_from(["a", "b"])

    def catch_up(self) -> None:
        for name, frames in self.grid.sent.items():
            self.on_worker[name] |= {one.assignment.attempt_id for one in frames if isinstance(one, Assign)}
            frames.clear()

    def is_up(self, name: str) -> bool:
        return self.grid.node(name).state == "ready"

    @rule()
    def submit(self) -> None:
        self.submitted.append(f"r/s/{len(self.submitted)}/1")
        self.grid.submit(self.submitted[-1])
        self.catch_up()

    @rule(name=names, restarted=st.booleans(), forgets=st.booleans())
    def connect(self, name: str, restarted: bool, forgets: bool) -> None:
        if self.is_up(name):
            return
        self.boots += restarted
        if restarted or forgets:
            self.on_worker[name].clear()
        self.grid.up(name, boot=f"boot-{self.boots}", held=tuple(self.on_worker[name]))
        self.catch_up()

    @rule(name=names)
    def cut(self, name: str) -> None:
        if self.is_up(name):
            self.grid.fleet.away(self.grid.node(name), "cut", self.grid.now)

    @rule(name=names)
    def kill(self, name: str) -> None:
        self.on_worker[name].clear()
        self.grid.fleet.gone(self.grid.node(name), "killed")

    @rule(name=names, data=st.data())
    def finish(self, name: str, data: st.DataObject) -> None:
        if self.is_up(name) and self.on_worker[name]:
            attempt_id = data.draw(st.sampled_from(sorted(self.on_worker[name])))
            self.grid.fleet.finished(self.grid.node(name), attempt_id, OUTCOME)

    @rule(name=names, data=st.data(), why=st.sampled_from(["busy", "cannot"]))
    def refuse(self, name: str, data: st.DataObject, why: str) -> None:
        if self.is_up(name) and self.on_worker[name]:
            attempt_id = data.draw(st.sampled_from(sorted(self.on_worker[name])))
            self.on_worker[name].discard(attempt_id)
            frame = Refused(attempt_id=attempt_id, why=why)  # type: ignore[arg-type]
            self.grid.fleet.refused(self.grid.node(name), frame, self.grid.now)

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.grid.fleet.cancel(data.draw(st.sampled_from(self.submitted)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.grid.place(after=seconds)
        self.catch_up()

    @invariant()
    def no_attempt_ends_twice(self) -> None:
        ended = [event.attempt_id for event in self.grid.sink.ends()]
        assert len(ended) == len(set(ended))

    def teardown(self) -> None:
        self.grid.fleet.lose_everything("closed")
        assert sorted(event.attempt_id for event in self.grid.sink.ends()) == sorted(self.submitted)
        assert self.grid.fleet.waiting == 0


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
