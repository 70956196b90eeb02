"""When lost shards are tried again: what costs tries, what costs nothing, and what a whole run may spend."""

from __future__ import annotations

import datetime

import pytest

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Items
from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.plan import Foreach, Plan, PromptWork, PythonWork, Subtask, Work
from nadg.domain.run import RunOptions
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.tier import Tier
from nadg.orchestrator.assignments import build_prompt
from nadg.orchestrator.decide import decide
from nadg.orchestrator.moves import Decision
from nadg.orchestrator.progress import RunProgress, create_progress
from nadg.orchestrator.retry import FREE_RETRIES, MOST_TRIES

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PYTHON = PythonWork(kind="python", code="1")


def begun(
    shards: int,
    *,
    max_attempts: int = 3,
    max_retries: int | None = None,
    work: Work = PYTHON,
    goes_on: bool = False,
) -> RunProgress:
    """A run whose only subtask has so many shards under way."""
    foreach = Foreach(items=list(range(shards)), shard_size=1)
    plan = Plan(subtasks=(Subtask(id="a", work=work, foreach=foreach, max_attempts=max_attempts),))
    options = RunOptions(max_retries=max_retries, continue_on_failure=goes_on)
    run = create_progress("r", plan, options, {})
    decide(run, ev.RunStarted())
    value = Value(inline=b"[0]")
    pieces = tuple(Items(first=n, count=1, values=value) for n in range(shards))
    decide(run, ev.ShardsPrepared(subtask_id="a", pieces=pieces))
    return run


def lose(run: RunProgress, attempt: str, *, begin: bool = True, worker: str = "w") -> Decision:
    if begin:
        decide(run, ev.AttemptStarted(attempt_id=attempt, worker=worker, at=NOW))
    return decide(run, ev.AttemptLost(attempt_id=attempt, worker=worker, reason="killed", at=NOW))


def crash(run: RunProgress, attempt: str, kind: OutcomeKind = "crashed") -> Decision:
    receipt = Receipt(
        worker="w", sandbox_tier=Tier.LANDLOCK, code_sha256="", input_sha256s={}, started_at=NOW, finished_at=NOW
    )
    return decide(run, ev.AttemptFinished(attempt_id=attempt, outcome=Outcome(kind=kind, receipt=receipt)))


def dispatched(made: Decision) -> list[str]:
    return [one.attempt_id for one in made.commands if isinstance(one, cmd.Dispatch)]


def test_a_loss_before_the_start_costs_nothing() -> None:
    run = begun(1, max_attempts=1, max_retries=0)
    for number in range(1, 10):
        assert dispatched(lose(run, f"r/a/0/{number}", begin=False)) == [f"r/a/0/{number + 1}"]
    assert (run.retries, run.subtasks["a"].shards[0].losses) == (0, 0)
    lose(run, "r/a/0/10")
    assert run.stop_reason == "a failed: lost once, the last time because killed"


def test_what_ends_every_link_it_is_sent_over_is_given_up_though_it_never_begins() -> None:
    run = begun(1)
    for number in range(1, MOST_TRIES):
        assert dispatched(lose(run, f"r/a/0/{number}", begin=False))
    lose(run, f"r/a/0/{MOST_TRIES}", begin=False)
    assert (
        run.stop_reason == "a failed: given to workers 100 times, and lost each time, the last time because killed"
    )


def test_what_a_worker_gives_back_as_crashed_counts_though_nobody_saw_it_begin() -> None:
    run = begun(1, max_attempts=2)
    assert dispatched(crash(run, "r/a/0/1")) == ["r/a/0/2"]
    assert crash(run, "r/a/0/2").commands == []
    assert run.state is RunState.FAILED


def test_what_a_worker_cancels_by_itself_while_it_waits_costs_nothing() -> None:
    run = begun(1, max_attempts=1)
    assert dispatched(crash(run, "r/a/0/1", "cancelled")) == ["r/a/0/2"]
    assert run.subtasks["a"].shards[0].losses == 0


def test_a_crash_that_nobody_waits_for_any_more_is_a_cancellation() -> None:
    run = begun(2)
    decide(run, ev.CancelRequested(reason="enough"))
    made = crash(run, "r/a/0/1")
    (end,) = [one for one in made.changes if isinstance(one, ch.AttemptChanged)]
    assert end.state is AttemptState.CANCELLED
    assert run.retries == 0


def test_poison_shards_stop_at_the_budget_of_the_run() -> None:
    """Every attempt kills its worker: 100 shards with 20 tries each would take 2,000 of them."""
    run = begun(100, max_attempts=20, goes_on=True)
    lost = 0
    while run.in_flight:
        lose(run, next(iter(run.in_flight)), worker=f"w{lost}")
        lost += 1
    assert run.retries == FREE_RETRIES + 100 // 2
    assert run.state is RunState.FAILED
    assert run.subtasks["a"].state is SubtaskState.FAILED
    assert run.subtasks["a"].reason.endswith(
        "not tried again: the retries of this run (100) are used up (--max-retries)"
    )
    assert lost <= run.retries + 100


@pytest.mark.parametrize("allowed", [0, 1, 5])
def test_options_bound_the_retries_of_a_run(allowed: int) -> None:
    run = begun(10, max_retries=allowed)
    for index in range(allowed):
        assert dispatched(lose(run, f"r/a/{index}/1")) == [f"r/a/{index}/2"]
    lose(run, f"r/a/{allowed}/1")
    spent = f"the retries of this run ({allowed}) are used up (--max-retries)"
    assert run.stop_reason == f"a failed: lost once, the last time because killed; not tried again: {spent}"
    assert run.subtasks["a"].shards[allowed].state is ShardState.FAILED


def test_prompt_work_is_told_whether_there_is_another_try() -> None:
    work = PromptWork(kind="prompt", prompt="say")
    run = begun(1, max_attempts=2, work=work)
    first = cmd.Dispatch(attempt_id="r/a/0/1", subtask_id="a", shard_index=0)
    assert build_prompt(run, first, ()).tries_left
    crash(run, "r/a/0/1")
    assert not build_prompt(run, cmd.Dispatch(attempt_id="r/a/0/2", subtask_id="a", shard_index=0), ()).tries_left
    spent = begun(1, max_attempts=2, max_retries=0, work=work)
    assert not build_prompt(spent, first, ()).tries_left
