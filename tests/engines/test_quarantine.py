"""Workers that misbehave, in a fleet with a hand-driven clock."""

from __future__ import annotations

import msgspec

from nadg.domain.errors import LinkRefused
from nadg.domain.outcome import Outcome
from nadg.engines.fitness import unmet
from nadg.engines.placement import Demand
from nadg.link.frames import Assign, Frame
from tests.engines.test_fleet import AT, OUTCOME, RECEIPT, Grid

CRASHED = Outcome(kind="crashed", receipt=RECEIPT, reason="no space left on the device")


def crash(grid: Grid, name: str, *shards: str) -> None:
    """Each of these goes to this worker, and crashes there."""
    for shard in shards:
        others = tuple(other for other in grid.sent if other != name)
        grid.submit(f"r/s/{shard}/1", avoid_workers=others)
        grid.fleet.finished(grid.node(name), f"r/s/{shard}/1", CRASHED)
        grid.place()


def test_a_worker_on_which_everything_crashes_is_set_aside_and_the_good_one_does_the_rest() -> None:
    grid = Grid("bad", "good")
    crash(grid, "bad", "0", "1", "2")
    assert grid.node("bad").state == "quarantined"
    assert grid.node("bad").reason == (
        "until 00:00:10 UTC, since it failed 3 times in a row by its own fault: no space left on the device"
    )
    for number in range(10, 16):
        grid.submit(f"r/s/{number}/1")
        grid.fleet.finished(grid.node("good"), f"r/s/{number}/1", OUTCOME)
        grid.place()
    assert len(grid.assigned("bad")) == 3
    assert len(grid.assigned("good")) == 6


def test_after_its_time_it_gets_one_attempt_until_one_ends_well() -> None:
    grid = Grid("w", slots=4)
    crash(grid, "w", "0", "1", "2")
    for number in range(10, 16):
        grid.submit(f"r/s/{number}/1")
    assert len(grid.assigned("w")) == 3
    assert grid.fleet.next_deadline() == 10
    grid.place(after=10)
    assert (grid.node("w").state, grid.assigned("w")[3:]) == ("ready", ["r/s/10/1"])
    grid.place(after=100)
    assert len(grid.assigned("w")) == 4, "the trial goes on, and nobody waits in vain meanwhile"
    grid.fleet.finished(grid.node("w"), "r/s/10/1", OUTCOME)
    grid.place()
    assert len(grid.assigned("w")) == 9, "all that is left, since such attempts are short"
    assert grid.sink.reasons() == []


def test_patience_counts_and_the_sentence_names_the_quarantine() -> None:
    grid = Grid("w")
    crash(grid, "w", "0", "1", "2")
    grid.submit("r/s/3/1")
    grid.place(after=10)
    grid.fleet.finished(grid.node("w"), "r/s/3/1", CRASHED)
    grid.submit("r/s/4/1")
    grid.place(after=9)
    assert grid.sink.reasons() == []
    assert unmet(grid.fleet.nodes.values(), Demand(kind="")) is None, "a run may begin: the worker is tried again"
    grid.place(after=2)
    (reason,) = grid.sink.reasons()
    assert reason == (
        "no worker that qualifies may be used: w is in quarantine until 00:00:20 UTC, "
        "since it failed again when it was tried: no space left on the device"
    )


def test_a_quarantine_outlives_the_link_and_the_process() -> None:
    grid = Grid("w", "other")
    crash(grid, "w", "0", "1", "2")
    grid.fleet.away(grid.node("w"), "cut", grid.now)
    assert grid.node("w").state == "away"
    grid.up("w", boot="another")
    assert grid.node("w").state == "quarantined"
    grid.place(after=10)
    assert grid.node("w").state == "ready"
    assert grid.node("w").place is not None
    assert grid.node("w").place.trial  # type: ignore[union-attr]


def test_deaths_count_only_with_begun_attempts_and_removal_does_not() -> None:
    grid = Grid("other")
    for number in range(3):
        grid.up("w", boot=f"boot {number}")
        grid.submit(f"r/s/{number}/1", avoid_workers=("other",))
        grid.fleet.gone(grid.node("w"), "killed")
        grid.place()
    grid.up("w", boot="boot 3")
    assert grid.node("w").state == "ready", "nothing had begun"
    for number in range(3, 6):
        grid.up("w", boot=f"boot {number}")
        grid.submit(f"r/s/{number}/1", avoid_workers=("other",))
        grid.fleet.started(grid.node("w"), f"r/s/{number}/1", AT)
        if number == 5:
            grid.fleet.forget(grid.node("w"), "removed")
        else:
            grid.fleet.gone(grid.node("w"), "killed")
        grid.place()
    grid.up("w", boot="boot 6")
    assert grid.node("w").state == "ready", "it was removed, which is nobody's fault"
    grid.submit("r/s/7/1", avoid_workers=("other",))
    grid.fleet.started(grid.node("w"), "r/s/7/1", AT)
    grid.fleet.away(grid.node("w"), "silence", grid.now)
    grid.place(after=6)
    grid.up("w", boot="boot 7")
    assert grid.node("w").state == "quarantined"
    assert "it was lost: silence" in grid.node("w").reason


def test_poison_sets_nobody_aside() -> None:
    grid = Grid("a", "b")
    for shard in ("p0", "p1", "p2", "p3"):
        crash(grid, "a", shard)
        assert grid.node("a").state == "ready"
        grid.submit(f"r/s/{shard}/2", avoid_workers=("a",))
        grid.fleet.finished(grid.node("b"), f"r/s/{shard}/2", CRASHED)
        grid.place()
    assert (grid.node("a").state, grid.node("b").state) == ("ready", "ready")


def test_faults_of_cancelled_attempts_and_unusable_outcomes() -> None:
    grid = Grid("w", "other")
    for number in range(3):
        grid.submit(f"r/s/{number}/1", avoid_workers=("other",))
        grid.fleet.finished(grid.node("w"), f"r/s/{number}/1", msgspec.structs.replace(CRASHED, kind="cancelled"))
        grid.place()
    assert grid.node("w").state == "ready"
    for number in range(3, 6):
        grid.submit(f"r/s/{number}/1", avoid_workers=("other",))
        grid.fleet.unusable(grid.node("w"), f"r/s/{number}/1", "its outcome cannot be fetched: wrong hash")
        grid.place()
    assert grid.node("w").state == "quarantined"
    assert "wrong hash" in grid.node("w").reason


def test_no_worker_is_at_fault_for_what_its_master_cannot_send_or_keep() -> None:
    grid = Grid("w")
    for number in range(4):
        grid.submit(f"r/s/{number}/1")
        reason = "its outcome cannot be fetched: no space left on device"
        grid.fleet.unusable(grid.node("w"), f"r/s/{number}/1", reason, at_fault=False)

    def refuse(frame: Frame, soon: bool) -> None:
        if isinstance(frame, Assign):
            raise LinkRefused("a frame has at most 15728640 bytes")

    grid.node("w").send = refuse
    for number in range(4, 8):
        grid.submit(f"r/s/{number}/1")
    assert (len(grid.sink.ends()), grid.node("w").state) == (8, "ready")


def test_what_is_held_back_gets_nothing_new_over_links_until_it_is_let_go() -> None:
    grid = Grid("w", "other")
    grid.submit("r/s/0/1", avoid_workers=("other",))
    grid.fleet.hold_back(grid.node("w"), "set by hand")
    grid.submit("r/s/1/1", avoid_workers=("other",))
    assert (grid.node("w").state, grid.assigned("other")) == ("draining", ["r/s/1/1"])
    grid.fleet.away(grid.node("w"), "cut", grid.now)
    grid.up("w", held=("r/s/0/1",))
    grid.fleet.finished(grid.node("w"), "r/s/0/1", OUTCOME)
    assert (grid.node("w").state, grid.node("w").reason) == ("draining", "set by hand")
    grid.fleet.drain(grid.node("w"), "the worker stops")
    grid.fleet.hold_back(grid.node("w"), "")
    assert (grid.node("w").state, grid.node("w").reason) == ("draining", "the worker stops")
    grid.up("w")
    assert grid.node("w").state == "ready"


def test_only_drained_workers_are_named_in_the_end() -> None:
    grid = Grid("w")
    grid.fleet.hold_back(grid.node("w"), "set by hand")
    grid.submit()
    grid.place(after=11)
    assert grid.sink.reasons() == ["no worker that qualifies may be used: w is draining (set by hand)"]
