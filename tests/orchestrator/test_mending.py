"""Code that raised is mended so often, and not in vain: what each shard ran, and when it is given up."""

from __future__ import annotations

import datetime
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Items, Whole
from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.plan import Foreach, Plan, PythonWork, SkillWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState, SubtaskState, is_final
from nadg.domain.tier import Tier
from nadg.orchestrator.decide import decide
from nadg.orchestrator.progress import RunProgress, create_progress

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
BAD = "result = 1 / 0"


def outcome(kind: OutcomeKind, reason: str = "") -> Outcome:
    receipt = Receipt(
        worker="w", sandbox_tier=Tier.LANDLOCK, code_sha256="", input_sha256s={}, started_at=NOW, finished_at=NOW
    )
    return Outcome(kind=kind, receipt=receipt, reason=reason, detail="Traceback …", result=Value(inline=b"1"))


def begun(max_repairs: int = 2, shards: int = 1) -> RunProgress:
    """A run whose only subtask has so many attempts under way."""
    work = PythonWork(kind="python", code=BAD)
    foreach = Foreach(items=list(range(shards)), shard_size=1) if shards > 1 else None
    plan = Plan(subtasks=(Subtask(id="a", work=work, foreach=foreach, max_attempts=2),))
    run = create_progress("r", plan, RunOptions(max_repairs=max_repairs), {})
    decide(run, ev.RunStarted())
    value = Value(inline=b"[0]")
    pieces = tuple(Items(first=n, count=1, values=value) for n in range(shards)) if foreach else (Whole(),)
    decide(run, ev.ShardsPrepared(subtask_id="a", pieces=pieces))
    return run


def failed(attempt: str, reason: str = "ZeroDivisionError: division by zero") -> ev.AttemptFinished:
    return ev.AttemptFinished(attempt_id=attempt, outcome=outcome("failed", reason))


def mended(code: str, of: str = BAD) -> ev.CodeMended:
    return ev.CodeMended(subtask_id="a", of_code=of, code=code)


def test_code_that_raised_runs_again_as_it_was_mended() -> None:
    run = begun()
    made = decide(run, failed("r/a/0/1"))
    (ask,) = made.commands
    assert ask == cmd.MendCode(
        subtask_id="a", code=BAD, reason="ZeroDivisionError: division by zero", detail="Traceback …"
    )
    assert run.subtasks["a"].state is SubtaskState.RUNNING
    made = decide(run, mended("result = 1"))
    assert made.changes[0] == ch.CodeChanged(
        subtask_id="a", code="result = 1", number=1, reason="ZeroDivisionError: division by zero"
    )
    assert [one.attempt_id for one in made.commands if isinstance(one, cmd.Dispatch)] == ["r/a/0/2"]
    assert run.subtasks["a"].code == "result = 1"
    decide(run, ev.AttemptFinished(attempt_id="r/a/0/2", outcome=outcome("succeeded")))
    decide(run, ev.ResultGathered(subtask_id="a", result=Value(inline=b"1")))
    assert run.state is RunState.SUCCEEDED


def test_an_exception_that_comes_again_stops_early() -> None:
    run = begun()
    decide(run, failed("r/a/0/1"))
    decide(run, mended("result = 2 / 0"))
    decide(run, failed("r/a/0/2"))
    assert run.state is RunState.FAILED
    assert run.stop_reason == "a failed: ZeroDivisionError: division by zero (its code was mended once)"


def test_code_is_mended_twice_at_most() -> None:
    run = begun()
    decide(run, failed("r/a/0/1", "NameError: x"))
    decide(run, mended("y"))
    decide(run, failed("r/a/0/2", "NameError: y"))
    decide(run, mended("z", of="y"))
    decide(run, failed("r/a/0/3", "NameError: z"))
    assert run.state is RunState.FAILED
    assert run.stop_reason == "a failed: NameError: z (its code was mended 2 times)"


def test_without_leave_to_mend_the_first_exception_fails_the_subtask() -> None:
    run = begun(max_repairs=0)
    made = decide(run, failed("r/a/0/1"))
    assert run.state is RunState.FAILED
    assert not any(isinstance(one, cmd.MendCode) for one in made.commands)


def test_what_broke_a_limit_or_is_no_code_is_not_mended() -> None:
    run = begun()
    decide(run, ev.AttemptFinished(attempt_id="r/a/0/1", outcome=outcome("limit", "wall_seconds")))
    assert run.state is RunState.FAILED
    plan = Plan(subtasks=(Subtask(id="a", work=SkillWork(kind="skill", skill="x.y")),))
    skill = create_progress("r", plan, RunOptions(max_repairs=2), {})
    decide(skill, ev.RunStarted())
    decide(skill, ev.ShardsPrepared(subtask_id="a", pieces=(Whole(),)))
    decide(skill, failed("r/a/0/1"))
    assert skill.state is RunState.FAILED


def test_where_no_code_comes_the_subtask_fails_with_what_it_raised() -> None:
    run = begun(shards=3)
    decide(run, failed("r/a/1/1", "item 1: KeyError: 'x'"))
    decide(run, ev.MendingFailed(subtask_id="a", of_code=BAD, reason="the provider is down"))
    for index in (0, 2):
        decide(run, ev.AttemptLost(attempt_id=f"r/a/{index}/1", worker="w", reason="cancelled", at=NOW))
    assert run.state is RunState.FAILED
    assert (
        run.stop_reason == "a failed: item 1: KeyError: 'x' (its code could not be mended: the provider is down)"
    )


def test_shards_that_fail_while_code_is_mended_wait_for_it_and_successes_stay() -> None:
    run = begun(shards=3)
    decide(run, failed("r/a/0/1", "item 0: KeyError: 'x'"))
    made = decide(run, failed("r/a/1/1", "item 1: KeyError: 'x'"))
    assert not made.commands, "one model is enough"
    decide(run, ev.AttemptFinished(attempt_id="r/a/2/1", outcome=outcome("succeeded")))
    made = decide(run, mended("result = 0"))
    assert sorted(one.attempt_id for one in made.commands if isinstance(one, cmd.Dispatch)) == [
        "r/a/0/2",
        "r/a/1/2",
    ]


def test_a_shard_that_ran_outdated_code_is_simply_run_again() -> None:
    run = begun(shards=2)
    decide(run, failed("r/a/0/1", "item 0: KeyError: 'x'"))
    decide(run, mended("result = 0"))
    made = decide(run, failed("r/a/1/1", "item 1: KeyError: 'x'"))
    assert [one.attempt_id for one in made.commands if isinstance(one, cmd.Dispatch)] == ["r/a/1/2"]
    assert run.subtasks["a"].code_number == 1


def test_mending_does_not_use_up_the_tries_for_lost_workers() -> None:
    run = begun()
    decide(run, failed("r/a/0/1"))
    decide(run, mended("result = 1"))
    made = decide(run, ev.AttemptLost(attempt_id="r/a/0/2", worker="w", reason="gone", at=NOW))
    assert [one.attempt_id for one in made.commands if isinstance(one, cmd.Dispatch)] == ["r/a/0/3"]


def test_code_that_comes_after_the_end_changes_nothing() -> None:
    run = begun()
    decide(run, failed("r/a/0/1"))
    decide(run, ev.CancelRequested(reason="enough"))
    assert run.state is RunState.CANCELLED
    assert not decide(run, mended("result = 1")).changes


@given(shards=st.integers(1, 4), repairs=st.integers(0, 3), seed=st.integers(), cured_at=st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_every_run_with_mending_ends(shards: int, repairs: int, seed: int, cured_at: int) -> None:
    """Code works from its `cured_at`th mending on; before, each raises something of its own."""
    luck = random.Random(seed)
    run = begun(max_repairs=repairs, shards=shards)
    pending: list[ev.Event] = [failed(attempt) for attempt in run.in_flight]
    mendings = 0
    while not run.ended:
        assert pending, "the run hangs"
        made = decide(run, pending.pop(luck.randrange(len(pending))))
        for command in made.commands:
            match command:
                case cmd.MendCode(code=code):
                    mendings += 1
                    pending.append(mended(f"code {mendings}", of=code))
                case cmd.Dispatch(attempt_id=attempt):
                    number = run.subtasks["a"].code_number
                    good = ev.AttemptFinished(attempt_id=attempt, outcome=outcome("succeeded"))
                    pending.append(good if number >= cured_at else failed(attempt, f"Error {number}"))
                    pending.append(ev.AttemptStarted(attempt_id=attempt, worker="w", at=NOW))
                    pending.append(ev.AttemptSlow(attempt_id=attempt))
                case cmd.CancelAttempt(attempt_id=attempt):
                    pending.append(ev.AttemptLost(attempt_id=attempt, worker="w", reason="", at=NOW))
                case cmd.GatherResult():
                    pending.append(ev.ResultGathered(subtask_id="a", result=Value(inline=b"1")))
                case _:
                    pass
    assert mendings <= repairs
    assert (run.state is RunState.SUCCEEDED) == (max(cured_at, 1) <= repairs)
    assert all(is_final(shard.state) for shard in run.subtasks["a"].shards)
