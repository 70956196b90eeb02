"""Attempts that change hands, as the fleet sees it: frame by frame, with a clock that the test drives."""

from __future__ import annotations

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.events import AttemptFinished, AttemptLost, AttemptStarted
from nadg.link.frames import Ack, Adopt, Assign, Cancel, Holding, Refused
from tests.engines.test_fleet import AT, OUTCOME, Grid

ONE, OTHER = "r/s/0/1", "r/s/1/1"
ASKED = Adopt(run_id="r", term=2)


def adopt(grid: Grid, *attempt_ids: str, worker: str = "", term: int = 2) -> None:
    for attempt_id in attempt_ids:
        assignment = Assignment(attempt_id=attempt_id, job=Code(code="result = 1"), piece=Whole(), term=term)
        grid.fleet.adopt(assignment, grid.sink, worker, grid.now)
    grid.place()


def answer(grid: Grid, name: str, *attempts: str, started: tuple[str, ...] = (), term: int = 2) -> None:
    frame = Holding(run_id="r", term=term, attempts=attempts, started=started)
    grid.fleet.holding(grid.node(name), frame, grid.now)
    grid.place()


def test_every_worker_is_asked_once_for_a_run_and_what_is_found_goes_on_there() -> None:
    grid = Grid("a", "b")
    adopt(grid, ONE, OTHER)
    assert (grid.sent["a"], grid.sent["b"]) == ([ASKED], [ASKED])
    answer(grid, "a", ONE, started=(ONE,))
    answer(grid, "b", OTHER)
    assert grid.sink.events == [AttemptStarted(attempt_id=ONE, worker="a", at=AT)], "the other has not begun"
    grid.fleet.started(grid.node("b"), OTHER, AT)
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    grid.fleet.finished(grid.node("b"), OTHER, OUTCOME)
    grid.place(after=100)
    assert [event.attempt_id for event in grid.sink.ends()] == [ONE, OTHER]
    assert grid.assigned("a") + grid.assigned("b") == []


def test_a_start_that_is_known_is_not_told_again() -> None:
    grid = Grid("a")
    adopt(grid, ONE, worker="a")
    answer(grid, "a", ONE, started=(ONE,))
    grid.fleet.started(grid.node("a"), ONE, AT)
    assert grid.sink.events == []


def test_what_no_worker_has_is_lost_where_it_had_begun_and_placed_where_not() -> None:
    grid = Grid("a")
    adopt(grid, ONE, worker="a")
    adopt(grid, OTHER)
    answer(grid, "a")
    (lost,) = grid.sink.ends()
    assert isinstance(lost, AttemptLost)
    assert (lost.attempt_id, lost.worker) == (ONE, "a")
    assert grid.assigned("a") == [OTHER]


def test_a_worker_that_is_away_is_waited_for_and_asked_when_it_is_back() -> None:
    grid = Grid("a", "b")
    grid.fleet.away(grid.node("b"), "cut", grid.now)
    adopt(grid, ONE, worker="b")
    answer(grid, "a")
    assert grid.sink.events == []
    grid.now += 4
    grid.up("b")
    assert grid.sent["b"] == [ASKED]
    answer(grid, "b", ONE, started=(ONE,))
    grid.place(after=100)
    assert grid.sink.ends() == []


def test_a_link_that_breaks_before_the_answer_is_asked_again_when_it_is_back() -> None:
    grid = Grid("a")
    adopt(grid, ONE)
    grid.fleet.away(grid.node("a"), "cut", grid.now)
    grid.up("a")
    assert grid.sent["a"] == [ASKED]
    answer(grid, "a", ONE)
    assert grid.fleet.next_deadline() is None


def test_the_wait_for_the_worker_that_had_begun_ends_with_the_grace_time() -> None:
    grid = Grid("a")
    adopt(grid, ONE, worker="never seen here")
    answer(grid, "a")
    assert grid.fleet.next_deadline() == 5
    grid.place(after=4.9)
    assert grid.sink.ends() == []
    grid.place(after=0.2)
    assert [event.worker for event in grid.sink.ends() if isinstance(event, AttemptLost)] == ["never seen here"]
    assert grid.fleet.next_deadline() is None


def test_without_any_worker_the_wait_is_for_the_grace_time_too() -> None:
    grid = Grid()
    adopt(grid, ONE)
    grid.now += 4
    grid.up("a")
    answer(grid, "a", ONE)
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    assert isinstance(grid.sink.ends()[0], AttemptFinished)


def test_one_that_is_asked_for_after_the_answer_is_found_by_asking_again() -> None:
    grid = Grid("a")
    adopt(grid, ONE)
    answer(grid, "a", ONE, OTHER, started=(OTHER,))
    grid.fleet.finished(grid.node("a"), OTHER, OUTCOME)
    assert not any(isinstance(frame, Ack) for frame in grid.sent["a"]), "somebody may ask for it yet"
    adopt(grid, OTHER)
    assert grid.sent["a"] == [ASKED, ASKED]
    answer(grid, "a", ONE, OTHER, started=(OTHER,))
    grid.fleet.finished(grid.node("a"), OTHER, OUTCOME)
    assert [type(event) for event in grid.sink.events] == [AttemptStarted, AttemptFinished]
    grid.place(after=100)
    assert not any(isinstance(frame, Cancel) for frame in grid.sent["a"])


def test_a_later_question_is_put_again_though_an_earlier_one_is_still_open() -> None:
    grid = Grid("a")
    adopt(grid, ONE, worker="not here yet")
    answer(grid, "a", OTHER)
    adopt(grid, OTHER)
    assert grid.sent["a"] == [ASKED, ASKED]
    answer(grid, "a", OTHER)
    grid.fleet.finished(grid.node("a"), OTHER, OUTCOME)
    assert [event.attempt_id for event in grid.sink.ends()] == [OTHER]


def test_what_nobody_asks_for_in_time_is_stopped_and_forgotten() -> None:
    grid = Grid("a")
    adopt(grid, ONE)
    answer(grid, "a", ONE, "r/ended/0/1")
    grid.place(after=4.9)
    grid.fleet.away(grid.node("a"), "cut", grid.now)
    grid.up("a", held=(ONE, "r/ended/0/1"))
    assert grid.sent["a"] == []
    grid.place(after=0.2)
    assert grid.sent["a"] == [Cancel(attempt_id="r/ended/0/1"), Ack(attempt_ids=("r/ended/0/1",))]
    grid.fleet.finished(grid.node("a"), "r/ended/0/1", OUTCOME)
    assert grid.sent["a"][-1] == Ack(attempt_ids=("r/ended/0/1",))


def test_one_cancelled_while_it_is_sought_is_stopped_where_it_is_found() -> None:
    grid = Grid("a")
    adopt(grid, ONE, OTHER)
    grid.fleet.cancel(ONE)
    grid.fleet.cancel(OTHER)
    assert grid.sink.ends() == []
    answer(grid, "a", ONE, started=(ONE,))
    assert Cancel(attempt_id=ONE) in grid.sent["a"]
    assert [event.attempt_id for event in grid.sink.ends()] == [OTHER]
    assert grid.assigned("a") == []


def test_a_run_that_comes_back_to_its_former_master_is_sought_anew() -> None:
    grid = Grid("a")
    grid.submit(ONE)
    grid.fleet.abandon([ONE], grid.now)
    adopt(grid, ONE, term=4)
    answer(grid, "a", ONE, term=4)
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    assert [event.attempt_id for event in grid.sink.ends()] == [ONE]
    grid.fleet.acknowledge([ONE])
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    acks = [frame for frame in grid.sent["a"] if isinstance(frame, Ack)]
    assert acks == [Ack(attempt_ids=(ONE,))] * 2, "the first got lost"


def test_what_waited_here_before_the_run_went_away_and_came_back_is_sent_once() -> None:
    grid = Grid()
    grid.submit(ONE)
    grid.fleet.abandon([ONE], grid.now)
    adopt(grid, ONE, term=4)
    grid.up("a")
    assert grid.assigned("a") == []
    answer(grid, "a", term=4)
    assert grid.assigned("a") == [ONE]


def test_an_answer_to_an_older_question_does_not_settle_a_newer_one() -> None:
    grid = Grid("a")
    adopt(grid, ONE, worker="a", term=2)
    grid.fleet.abandon([ONE], grid.now)
    adopt(grid, ONE, worker="a", term=4)
    answer(grid, "a", term=2)
    assert grid.sink.ends() == []
    answer(grid, "a", term=4)
    assert len(grid.sink.ends()) == 1


def test_what_a_worker_had_in_an_older_term_is_not_taken_for_what_it_has_now() -> None:
    grid = Grid("a")
    adopt(grid, ONE, worker="a", term=2)
    grid.fleet.abandon([ONE], grid.now)
    adopt(grid, ONE, worker="a", term=4)
    answer(grid, "a", ONE, started=(ONE,), term=2)
    answer(grid, "a", term=4)
    assert len(grid.sink.ends()) == 1, "the master of term 3 had its end, else it is waited for for ever"


def test_a_worker_that_knows_a_newer_master_ends_the_matter() -> None:
    grid = Grid("a", "b")
    grid.submit(ONE)
    refused = Refused(attempt_id=ONE, why="deposed", reason="the run is another master's now")
    grid.fleet.refused(grid.node("a"), refused, grid.now)
    grid.place(after=100)
    assert grid.sink.reasons() == ["the run is another master's now"]
    assert grid.assigned("b") == []


def test_an_end_from_a_worker_that_was_not_given_it_is_not_taken_for_it() -> None:
    grid = Grid("a", "b")
    grid.submit(ONE)
    grid.fleet.finished(grid.node("b"), ONE, OUTCOME)
    assert grid.sink.ends() == []
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    grid.fleet.finished(grid.node("b"), ONE, OUTCOME)
    assert len(grid.sink.ends()) == 1
    assert [frame for frame in grid.sent["a"] if isinstance(frame, Ack)] == []
    assert [frame for frame in grid.sent["b"] if isinstance(frame, Ack)] == [Ack(attempt_ids=(ONE,))] * 2


def test_free_slots_are_those_elsewhere_and_not_those_that_others_wait_for() -> None:
    grid = Grid("a", slots=2)
    grid.submit(ONE)
    assert grid.fleet.free_slots(ONE) == 1, "only one worker: its other slot"
    grid.slots = 3
    grid.up("b")
    assert grid.fleet.free_slots(ONE) == 3
    assert grid.fleet.free_slots("unknown") == 0
    grid.submit("q/s/0/1", labels=("gpu",))
    assert grid.fleet.free_slots(ONE) == 2
    grid.fleet.drain(grid.node("b"), "stops")
    assert grid.fleet.free_slots(ONE) == 0, "the one that stands free is for the one that waits"


def test_an_assignment_is_not_sent_while_it_is_sought() -> None:
    grid = Grid("a")
    adopt(grid, ONE)
    grid.up("b")
    grid.place(after=1)
    assert [frame for name in ("a", "b") for frame in grid.sent[name] if isinstance(frame, Assign)] == []


def test_a_worker_that_says_at_once_that_it_drains_gets_nothing_new_and_is_asked() -> None:
    grid = Grid()
    grid.submit("q/s/0/1")
    adopt(grid, ONE)
    grid.up("a", draining="its master is gone")
    assert grid.sent["a"] == [ASKED]
    assert (grid.node("a").state, grid.node("a").reason) == ("draining", "its master is gone")
    answer(grid, "a", ONE)
    grid.fleet.finished(grid.node("a"), ONE, OUTCOME)
    assert [event.attempt_id for event in grid.sink.ends()] == [ONE]
