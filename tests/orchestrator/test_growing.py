"""A plan that grows while it runs, and one that turns out other than it began: under random luck and order."""

from __future__ import annotations

import datetime
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Items, Piece, Whole
from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState, ShardState, SubtaskState, is_final
from nadg.domain.tier import Tier
from nadg.orchestrator.decide import decide
from nadg.orchestrator.moves import Decision
from nadg.orchestrator.progress import create_progress

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def subtask(index: int, needs: frozenset[int], version: int, items: int | None) -> Subtask:
    return Subtask(
        id=f"s{index}",
        work=PythonWork(kind="python", code=f"result = {version}"),
        needs=tuple(f"s{need}" for need in sorted(needs)),
        foreach=None if items is None else Foreach(items=list(range(items)), shard_size=1),
        max_attempts=20,
    )


@st.composite
def subtasks(draw: st.DrawFn, most: int = 5) -> tuple[Subtask, ...]:
    count = draw(st.integers(1, most))
    return tuple(
        subtask(
            index,
            frozenset(draw(st.sets(st.integers(0, index - 1), max_size=2))) if index else frozenset(),
            draw(st.integers(0, 1)),
            draw(st.none() | st.integers(1, 3)),
        )
        for index in range(count)
    )


class World:
    """Answers every command in any order; results say which definition of the subtask they came from."""

    def __init__(self, begun: tuple[Subtask, ...], final: Plan, seed: int, lost: float) -> None:
        self.random = random.Random(seed)
        self.lost, self.final = lost, final
        plan = Plan(subtasks=begun[:1])
        self.run = create_progress("r", plan, RunOptions(), {}, planning=True)
        self.pending: list[ev.Event] = [ev.RunStarted()]
        self.script: list[ev.Event] = [ev.SubtasksPlanned(subtasks=(one,)) for one in begun[1:]]
        self.script.append(ev.PlanFinished(plan=final))
        self.changes: list[ch.Change] = []
        self.code: dict[str, str] = {}

    def drive(self) -> None:
        for _ in range(5_000):
            if self.run.ended:
                return
            if self.script and (not self.pending or self.random.random() < 0.2):
                event = self.script.pop(0)
            else:
                assert self.pending, "the run hangs"
                event = self.pending.pop(self.random.randrange(len(self.pending)))
            self.apply(decide(self.run, event))
            for slow in [attempt for attempt in self.run.started if self.random.random() < 0.3]:
                self.apply(decide(self.run, ev.AttemptSlow(attempt_id=slow)))
        raise AssertionError("the run did not end")

    def apply(self, made: Decision) -> None:
        self.changes.extend(made.changes)
        for command in made.commands:
            self.pending.extend(self.answer(command))

    def answer(self, command: cmd.Command) -> list[ev.Event]:
        match command:
            case cmd.PrepareShards(subtask_id=one, definition=at):
                foreach = self.run.subtasks[one].spec.foreach
                value = Value(inline=b"[0]")
                pieces: tuple[Piece, ...] = (Whole(),)
                if foreach is not None:
                    pieces = tuple(Items(first=n, count=1, values=value) for n in range(len(foreach.items or ())))
                return [ev.ShardsPrepared(subtask_id=one, pieces=pieces, definition=at)]
            case cmd.GatherResult(subtask_id=one, definition=at):
                code = {self.code[shard.current_attempt] for shard in self.run.subtasks[one].current_shards}
                result = Value(inline=",".join(sorted(code)).encode())
                return [ev.ResultGathered(subtask_id=one, result=result, definition=at)]
            case cmd.Dispatch(attempt_id=attempt, subtask_id=one):
                assert attempt not in self.code, "an attempt is made once"
                self.code[attempt] = self.run.subtasks[one].code
                started = ev.AttemptStarted(attempt_id=attempt, worker="w", at=NOW)
                if self.random.random() < self.lost:
                    return [started, ev.AttemptLost(attempt_id=attempt, worker="w", reason="gone", at=NOW)]
                return [started, ev.AttemptFinished(attempt_id=attempt, outcome=success())]
            case _:
                return []


def success() -> Outcome:
    receipt = Receipt(
        worker="w", sandbox_tier=Tier.LANDLOCK, code_sha256="", input_sha256s={}, started_at=NOW, finished_at=NOW
    )
    return Outcome(kind="succeeded", receipt=receipt, result=Value(inline=b"1"))


@given(begun=subtasks(), final=subtasks(), seed=st.integers(), lost=st.sampled_from([0.0, 0.3]))
@settings(max_examples=500, deadline=None)
def test_the_finished_plan_is_what_was_carried_out(
    begun: tuple[Subtask, ...], final: tuple[Subtask, ...], seed: int, lost: float
) -> None:
    plan = Plan(goal="g", subtasks=final)
    world = World(begun, plan, seed, lost)
    world.drive()
    run = world.run
    assert run.state is RunState.SUCCEEDED, run.stop_reason
    assert run.plan.goal == "g"
    assert run.plan.answer_id == plan.answer_id
    assert {one.id for one in run.plan.subtasks} == {one.id for one in (*begun, *final)}
    for one in final:
        progress = run.subtasks[one.id]
        assert progress.state is SubtaskState.SUCCEEDED
        assert progress.spec == one
        assert progress.result == Value(inline=progress.code.encode()), "made by this definition's code"
        assert progress.open_shards == 0
    for one in begun:
        if one.id not in {other.id for other in final}:
            assert run.subtasks[one.id].state in (SubtaskState.CANCELLED, SubtaskState.SUCCEEDED)
    for progress in run.subtasks.values():
        assert all(is_final(shard.state) for shard in progress.shards)


@given(begun=subtasks(), final=subtasks(), seed=st.integers())
@settings(max_examples=300, deadline=None)
def test_what_rests_on_something_planned_anew_is_done_after_it(
    begun: tuple[Subtask, ...], final: tuple[Subtask, ...], seed: int
) -> None:
    world = World(begun, Plan(subtasks=final), seed, 0.0)
    world.drive()
    done: set[str] = set()
    settled = False
    for change in world.changes:
        match change:
            case ch.PlanSettled():
                settled = True
            case ch.SubtaskRedefined(subtask=one):
                done.discard(one.id)
            case ch.SubtaskChanged(subtask_id=one_id, state=SubtaskState.SUCCEEDED):
                done.add(one_id)
            case ch.AttemptAdded(subtask_id=one_id) if settled:
                assert set(world.run.subtasks[one_id].spec.needs) <= done
            case _:
                pass


@given(begun=subtasks(), seed=st.integers())
@settings(max_examples=200, deadline=None)
def test_a_plan_that_ends_as_it_began_repeats_nothing(begun: tuple[Subtask, ...], seed: int) -> None:
    world = World(begun, Plan(subtasks=begun), seed, 0.0)
    world.drive()
    assert not any(isinstance(one, ch.SubtaskRedefined) for one in world.changes)
    made = Counter(
        (one.subtask_id, one.index) for one in world.changes if isinstance(one, ch.AttemptAdded) and not one.hedge
    )
    assert set(made.values()) <= {1}
    assert world.run.state is RunState.SUCCEEDED


@given(begun=subtasks(), seed=st.integers(), after=st.integers(0, 10))
@settings(max_examples=200, deadline=None)
def test_failed_planning_ends_the_run_and_keeps_what_is_done(
    begun: tuple[Subtask, ...], seed: int, after: int
) -> None:
    world = World(begun, Plan(subtasks=begun), seed, 0.0)
    world.script = [*world.script[:-1][:after], ev.PlanningFailed(reason="the model gave up")]
    world.drive()
    assert world.run.state is RunState.FAILED
    assert world.run.stop_reason == "the model gave up"
    assert all(is_final(one.state) for one in world.run.subtasks.values())


def test_a_run_waits_for_the_rest_of_its_plan() -> None:
    first = subtask(0, frozenset(), 0, None)
    run = create_progress("r", Plan(subtasks=(first,)), RunOptions(), {}, planning=True)
    decide(run, ev.RunStarted())
    decide(run, ev.ShardsPrepared(subtask_id="s0", pieces=(Whole(),)))
    decide(run, ev.AttemptFinished(attempt_id="r/s0/0/1", outcome=success()))
    decide(run, ev.ResultGathered(subtask_id="s0", result=Value(inline=b"1")))
    before = run.state
    made = decide(run, ev.PlanFinished(plan=Plan(subtasks=(first,))))
    assert (before, run.state) == (RunState.RUNNING, RunState.SUCCEEDED)
    assert isinstance(made.changes[0], ch.PlanSettled)


def test_what_runs_for_an_outdated_definition_is_called_off_and_counts_no_more() -> None:
    old, new = subtask(0, frozenset(), 0, None), subtask(0, frozenset(), 1, None)
    run = create_progress("r", Plan(subtasks=(old,)), RunOptions(), {}, planning=True)
    decide(run, ev.RunStarted())
    decide(run, ev.ShardsPrepared(subtask_id="s0", pieces=(Whole(),)))
    made = decide(run, ev.PlanFinished(plan=Plan(subtasks=(new,))))
    assert cmd.CancelAttempt(attempt_id="r/s0/0/1") in made.commands
    assert cmd.PrepareShards(subtask_id="s0", definition=1) in made.commands
    decide(run, ev.ShardsPrepared(subtask_id="s0", pieces=(Whole(), Whole()), definition=0))
    assert run.subtasks["s0"].state is SubtaskState.PREPARING, "an answer about the old definition is passed over"
    decide(run, ev.AttemptFinished(attempt_id="r/s0/0/1", outcome=success()))
    assert run.subtasks["s0"].shards[0].state is ShardState.CANCELLED
    decide(run, ev.ShardsPrepared(subtask_id="s0", pieces=(Whole(),), definition=1))
    assert "r/s0/1/1" in run.in_flight
