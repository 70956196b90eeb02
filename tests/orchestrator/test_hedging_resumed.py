"""Another master goes on with a run in which two attempts of a shard were under way, or one was slow."""

from __future__ import annotations

import datetime

import msgspec

from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.plan import Foreach, PythonWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import ShardState, SubtaskState
from nadg.orchestrator.assignments import build_assignment
from nadg.orchestrator.decide import decide
from nadg.orchestrator.progress import RunProgress
from tests.orchestrator.cut_world import NOW, lost, outcome
from tests.orchestrator.test_resuming import Run, started

FIRST, SECOND = "r/a/0/1", "r/a/0/2"


def hedged(*, options: RunOptions | None = None, shards: int = 2) -> Run:
    """Two attempts of the first shard, begun on `slow` and `w`; the others wait at the engine."""
    foreach = Foreach(items=list(range(shards)), shard_size=1)
    work = PythonWork(kind="python", code="v0 1")
    one = Run(Subtask(id="a", work=work, foreach=foreach), options=options)
    one.begin("a")
    one.tell(started(FIRST, "slow"), ev.AttemptSlow(attempt_id=FIRST))
    return one


def failed(attempt: str) -> ev.AttemptFinished:
    return ev.AttemptFinished(attempt_id=attempt, outcome=outcome("failed", reason="KeyError"))


def resumed(one: Run) -> RunProgress:
    run = one.recovered()
    decide(run, ev.RunResumed())
    return run


def test_the_first_outcome_of_the_two_still_counts() -> None:
    run = resumed(hedged())
    assert run.twins == {FIRST: SECOND, SECOND: FIRST}
    made = decide(run, ev.AttemptFinished(attempt_id=SECOND, outcome=outcome("succeeded")))
    assert cmd.CancelAttempt(attempt_id=FIRST) in made.commands
    assert run.subtasks["a"].shards[0].state is ShardState.SUCCEEDED


def test_the_loss_of_one_of_the_two_still_only_ends_that_one() -> None:
    run = resumed(hedged())
    made = decide(run, lost(FIRST, "nobody has it"))
    assert not made.commands
    assert run.subtasks["a"].shards[0].state is ShardState.RUNNING


def test_the_second_attempt_still_keeps_away_from_the_slow_worker() -> None:
    run = resumed(hedged())
    command = cmd.AdoptAttempt(attempt_id=SECOND, subtask_id="a", shard_index=0)
    assert build_assignment(run, command, (), 2).avoid_workers == ("slow",)


def test_code_that_raised_in_the_first_of_two_is_mended() -> None:
    one = hedged(options=RunOptions(max_repairs=1))
    one.tell(failed(FIRST))
    assert one.run.subtasks["a"].mending
    assert one.recovered().subtasks["a"].mending


def test_code_that_raised_in_one_after_the_other_was_lost_is_mended() -> None:
    one = hedged(options=RunOptions(max_repairs=1))
    one.tell(started(SECOND), lost(SECOND, "gone"), failed(FIRST))
    assert one.recovered().subtasks["a"].mending
    assert one.recovered().retries == one.run.retries == 1


def test_a_loss_that_was_made_good_by_the_other_counts_where_that_one_failed() -> None:
    one = hedged(options=RunOptions(continue_on_failure=True))
    one.tell(started(SECOND), lost(SECOND, "gone"), failed(FIRST))
    assert one.run.subtasks["a"].state is SubtaskState.FAILED
    assert one.recovered().retries == one.run.retries == 1


def test_how_long_attempts_take_is_known_from_their_receipts() -> None:
    one = hedged(shards=5)
    for index in range(1, 5):
        done = outcome("succeeded")
        receipt = msgspec.structs.replace(
            done.receipt,
            finished_at=NOW + datetime.timedelta(seconds=10 * index),
            reused_from="r0/a/4/1" if index == 4 else "",
        )
        done = msgspec.structs.replace(done, receipt=receipt)
        one.tell(ev.AttemptFinished(attempt_id=f"r/a/{index}/1", outcome=done))
    durations = resumed(one).durations["a", 0]
    assert durations.bound(5) == 40.0  # of 10, 20 and 30 s; the reused one took no time
