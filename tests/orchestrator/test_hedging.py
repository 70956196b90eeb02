"""Two attempts of one shard at a time: what each end of one of them means."""

from __future__ import annotations

import pytest

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Items, Piece
from nadg.domain.blob import Value
from nadg.domain.outcome import OutcomeKind
from nadg.domain.plan import Foreach, Plan, PromptWork, PythonWork, Subtask, Work
from nadg.domain.run import RunOptions
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.orchestrator.decide import decide
from nadg.orchestrator.hedge_moves import QUICKER, pair_up
from nadg.orchestrator.hedging import Durations, slow_attempts
from nadg.orchestrator.moves import Decision
from nadg.orchestrator.progress import RunProgress, create_progress
from tests.orchestrator.test_decide_properties import NOW, outcome

FIRST, SECOND, THIRD = "r/a/0/1", "r/a/0/2", "r/a/0/3"
CODE = PythonWork(kind="python", code="result = 1")


def begun(*, work: Work = CODE, options: RunOptions | None = None, max_attempts: int = 3) -> RunProgress:
    """A run of two shards, each begun on a worker of its own."""
    foreach = Foreach(items=[0, 1], shard_size=1)
    plan = Plan(subtasks=(Subtask(id="a", work=work, foreach=foreach, max_attempts=max_attempts),))
    run = create_progress("r", plan, options or RunOptions(), {})
    decide(run, ev.RunStarted())
    pieces: tuple[Piece, ...] = tuple(Items(first=n, count=1, values=Value(inline=b"[0]")) for n in range(2))
    decide(run, ev.ShardsPrepared(subtask_id="a", pieces=pieces))
    start(run, FIRST, "slow")
    start(run, "r/a/1/1", "other")
    return run


def hedged() -> RunProgress:
    """The same with a second attempt of the first shard, begun."""
    run = begun()
    slow(run, FIRST)
    start(run, SECOND, "quick")
    return run


def start(run: RunProgress, attempt: str, worker: str) -> Decision:
    return decide(run, ev.AttemptStarted(attempt_id=attempt, worker=worker, at=NOW))


def slow(run: RunProgress, attempt: str) -> Decision:
    return decide(run, ev.AttemptSlow(attempt_id=attempt))


def finish(run: RunProgress, attempt: str, kind: OutcomeKind = "succeeded") -> Decision:
    return decide(run, ev.AttemptFinished(attempt_id=attempt, outcome=outcome(kind)))


def lose(run: RunProgress, attempt: str, worker: str = "quick") -> Decision:
    return decide(run, ev.AttemptLost(attempt_id=attempt, worker=worker, reason="gone", at=NOW))


def dispatched(made: Decision) -> list[str]:
    return [one.attempt_id for one in made.commands if isinstance(one, cmd.Dispatch)]


def ends(made: Decision) -> dict[str, tuple[AttemptState, str]]:
    return {one.attempt_id: (one.state, one.reason) for one in made.changes if isinstance(one, ch.AttemptChanged)}


def test_a_slow_attempt_gets_a_second_one_beside_it_elsewhere() -> None:
    made = slow(begun(), FIRST)
    assert made.changes == [ch.AttemptAdded(attempt_id=SECOND, subtask_id="a", index=0, number=2, hedge=True)]
    second = cmd.Dispatch(attempt_id=SECOND, subtask_id="a", shard_index=0, avoid_workers=("slow",))
    assert made.commands == [second]


@pytest.mark.parametrize(("winner", "loser"), [(FIRST, SECOND), (SECOND, FIRST)])
@pytest.mark.parametrize("kind", ["succeeded", "failed", "limit"])
def test_the_first_outcome_counts_and_the_other_attempt_is_cancelled(
    kind: OutcomeKind, winner: str, loser: str
) -> None:
    run = hedged()
    made = finish(run, winner, kind)
    assert ends(made)[loser] == (AttemptState.CANCELLED, QUICKER)
    assert cmd.CancelAttempt(attempt_id=loser) in made.commands
    expected = ShardState.SUCCEEDED if kind == "succeeded" else ShardState.FAILED
    assert run.subtasks["a"].shards[0].state is expected
    assert loser not in run.in_flight
    assert finish(run, loser) == Decision(), "what the slower one made comes too late"
    assert run.subtasks["a"].shards[0].state is expected


@pytest.mark.parametrize("gone", [FIRST, SECOND])
@pytest.mark.parametrize("how", ["lost", "crashed", "cancelled", "never placed"])
def test_the_loss_of_one_only_ends_that_attempt(how: str, gone: str) -> None:
    run = hedged()
    left = SECOND if gone == FIRST else FIRST
    match how:
        case "lost" | "never placed":
            made = lose(run, gone, "" if how == "never placed" else "quick")
        case _:
            made = finish(run, gone, "crashed" if how == "crashed" else "cancelled")
    assert ends(made).keys() == {gone}
    assert ends(made)[gone][0] is AttemptState.LOST
    assert not dispatched(made)
    assert run.subtasks["a"].shards[0].state is ShardState.RUNNING
    finish(run, left)
    finish(run, "r/a/1/1")
    assert run.subtasks["a"].state is SubtaskState.CLOSING


def test_after_the_loss_of_both_the_shard_is_tried_again_elsewhere() -> None:
    run = hedged()
    lose(run, FIRST, "slow")
    made = lose(run, SECOND, "quick")
    (again,) = [one for one in made.commands if isinstance(one, cmd.Dispatch)]
    assert again.attempt_id == THIRD
    assert set(again.avoid_workers) == {"slow", "quick"}


def test_there_are_never_three_at_a_time() -> None:
    run = hedged()
    assert slow(run, FIRST) == slow(run, SECOND) == Decision()


def test_what_has_not_begun_is_not_slow() -> None:
    run = begun()
    lose(run, FIRST)
    assert slow(run, SECOND) == Decision()


@pytest.mark.parametrize("reason", ["switched off", "prompt work", "runs only once", "ended", "stopping", "full"])
def test_no_second_attempt_where_none_is_wanted(reason: str) -> None:
    prompt = PromptWork(kind="prompt", prompt="why?")
    run = begun(
        work=prompt if reason == "prompt work" else CODE,
        options=RunOptions(hedge=reason != "switched off"),
        max_attempts=1 if reason == "runs only once" else 3,
    )
    match reason:
        case "ended":
            finish(run, "r/a/1/1", "failed")
        case "stopping":
            decide(run, ev.CancelRequested(reason="enough"))
        case "full":
            run.max_in_flight = 2
    assert slow(run, FIRST) == Decision()


def test_no_second_attempt_with_other_code_than_the_first() -> None:
    run = begun(options=RunOptions(max_repairs=1))
    finish(run, "r/a/1/1", "failed")
    assert slow(run, FIRST) == Decision(), "a model is mending the code"
    decide(run, ev.CodeMended(subtask_id="a", of_code="result = 1", code="result = 2"))
    assert slow(run, FIRST) == Decision(), "the first runs the code that was mended"


def test_a_failure_that_is_mended_leaves_no_second_attempt_behind() -> None:
    run = begun(options=RunOptions(max_repairs=1))
    slow(run, FIRST)
    made = finish(run, FIRST, "failed")
    assert ends(made)[SECOND] == (AttemptState.CANCELLED, QUICKER)
    made = decide(run, ev.CodeMended(subtask_id="a", of_code="result = 1", code="result = 2"))
    assert dispatched(made) == [THIRD]


def test_a_cancelled_run_ends_when_both_have() -> None:
    run = hedged()
    made = decide(run, ev.CancelRequested(reason="enough"))
    assert {one.attempt_id for one in made.commands if isinstance(one, cmd.CancelAttempt)} >= {FIRST, SECOND}
    finish(run, "r/a/1/1", "cancelled")
    finish(run, SECOND, "cancelled")
    assert not run.ended
    finish(run, FIRST, "cancelled")
    assert run.state is RunState.CANCELLED
    assert run.subtasks["a"].shards[0].state is ShardState.CANCELLED


def test_a_subtask_that_is_planned_anew_ends_both() -> None:
    run = hedged()
    run.planning = True
    anew = PythonWork(kind="python", code="result = 2")
    decide(run, ev.PlanFinished(plan=Plan(subtasks=(Subtask(id="a", work=anew),))))
    assert slow(run, "r/a/1/1") == Decision()
    finish(run, FIRST, "cancelled")
    assert FIRST not in run.in_flight
    finish(run, SECOND)
    assert run.subtasks["a"].shards[0].state is ShardState.CANCELLED


def test_pairs_are_found_again_in_progress_that_was_rebuilt() -> None:
    run = hedged()
    twins, run.twins = run.twins, {}
    pair_up(run)
    assert run.twins == twins == {FIRST: SECOND, SECOND: FIRST}


def test_the_bound_is_learnt_from_enough_of_the_shards() -> None:
    durations = Durations()
    for seconds in (3.0, 1.0):
        durations.add(seconds)
    assert durations.bound(4) is None
    durations.add(2.0)
    assert durations.bound(4) == 4.0  # twice the 75th percentile
    assert durations.bound(1000) is None
    for _ in range(47):
        durations.add(2.0)
    assert durations.bound(1000) == 4.0


def test_no_bound_is_below_a_second() -> None:
    durations = Durations()
    for _ in range(3):
        durations.add(0.01)
    assert durations.bound(3) == 1.0


def test_the_slowest_come_first() -> None:
    running = [("a", 30.0, 20.0), ("b", 9.0, 1.0), ("c", 1.0, 2.0), ("d", 100.0, None)]
    assert slow_attempts(running) == ["b", "a"]
