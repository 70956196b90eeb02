"""Attempts that a fleet lets go of before they end, as it sees it: they are another master's, or are over."""

from __future__ import annotations

from nadg.link.frames import Ack, Cancel
from tests.engines.test_fleet import AT, OUTCOME, Grid
from tests.engines.test_fleet_takeover import ONE, OTHER, adopt


def test_an_abandoned_attempt_is_heard_of_no_more_and_left_alone() -> None:
    grid = Grid("a", slots=2)
    grid.submit(ONE)
    grid.submit(OTHER)
    grid.fleet.finished(grid.node("a"), OTHER, OUTCOME)
    grid.submit("r/waits/0/1", labels=("gpu",))
    events = list(grid.sink.events)
    grid.fleet.abandon([ONE, OTHER, "r/waits/0/1", "unknown"], grid.now)
    sent = list(grid.sent["a"])
    grid.fleet.started(grid.node("a"), ONE, AT)
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    grid.fleet.finished(grid.node("a"), OTHER, OUTCOME)
    grid.fleet.acknowledge([ONE, OTHER])
    grid.place(after=59)
    assert (grid.sink.events, grid.sent["a"], grid.fleet.waiting) == (events, sent, 0)
    grid.up("a", held=(ONE, OTHER))
    assert grid.sent["a"] == []


def test_what_is_over_before_its_end_came_is_forgotten_where_that_comes() -> None:
    grid = Grid("a")
    grid.submit(ONE)
    grid.submit("r/waits/0/1", labels=("gpu",))
    adopt(grid, OTHER)
    grid.fleet.cancel(ONE)
    grid.fleet.acknowledge([ONE, OTHER, "r/waits/0/1"])
    assert grid.fleet.waiting == 0
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    assert grid.sent["a"][-1] == Ack(attempt_ids=(ONE,)), "else the worker keeps it for as long as the link lasts"
    grid.up("a", held=(ONE,))
    assert grid.sent["a"] == [Cancel(attempt_id=ONE)]
    grid.place(after=100)
    assert (grid.sink.events, grid.fleet.next_deadline()) == ([], None)


def test_what_was_abandoned_and_no_other_master_took_is_stopped_and_forgotten_in_the_end() -> None:
    grid = Grid("a", slots=2)
    grid.submit(ONE)
    grid.submit(OTHER)
    grid.fleet.finished(grid.node("a"), OTHER, OUTCOME)
    grid.fleet.abandon([ONE, OTHER], grid.now)
    grid.now += 30
    grid.fleet.abandon(["unknown"], grid.now)
    del grid.sent["a"][:]
    assert grid.fleet.next_deadline() == 60
    grid.place(after=30)
    assert grid.sent["a"] == [
        frame for one in (ONE, OTHER) for frame in (Cancel(attempt_id=one), Ack(attempt_ids=(one,)))
    ]
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    assert grid.sent["a"][4:] == [Ack(attempt_ids=(ONE,))]
    grid.place(after=30)
    assert (grid.fleet.next_deadline(), len(grid.sink.ends())) == (None, 1)
