"""Random plans under random luck: every run ends, nothing is lost or done twice, retries are bounded."""

from __future__ import annotations

import datetime
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Items, Piece, Whole
from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final
from nadg.domain.tier import Tier
from nadg.orchestrator.decide import decide
from nadg.orchestrator.moves import Decision
from nadg.orchestrator.progress import RunProgress, create_progress
from nadg.orchestrator.retry import retry_budget

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MAX_ATTEMPTS = 3


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 6))
    subtasks = []
    for index in range(count):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        items = draw(st.none() | st.integers(0, 5))
        subtasks.append(
            Subtask(
                id=f"s{index}",
                work=PythonWork(kind="python", code="result = 1"),
                needs=tuple(f"s{need}" for need in sorted(needs)),
                foreach=None if items is None else Foreach(items=list(range(items)), shard_size=1),
                on_failure=draw(st.sampled_from(["fail_run", "continue"])),
                max_attempts=MAX_ATTEMPTS,
            )
        )
    return Plan(subtasks=tuple(subtasks))


class World:
    """An engine and a loop that answer commands in any order, with any luck."""

    def __init__(self, plan: Plan, seed: int, *, luck: dict[str, float], window: int = 1000) -> None:
        self.random = random.Random(seed)
        self.run = create_progress("r", plan, RunOptions(), {}, max_in_flight=window)
        self.luck = luck
        self.pending: list[ev.Event] = [ev.RunStarted()]
        self.changes: list[ch.Change] = []
        self.dispatched: list[str] = []

    def step(self) -> None:
        event = self.pending.pop(self.random.randrange(len(self.pending)))
        self.apply(decide(self.run, event))
        if self.run.started and self.random.random() < self.luck.get("slow", 0):
            slow = self.random.choice(list(self.run.started))
            self.apply(decide(self.run, ev.AttemptSlow(attempt_id=slow)))
        of_shard = Counter(self.run.in_flight.values())
        assert max(of_shard.values(), default=0) <= 2
        assert {place for place, count in of_shard.items() if count == 2} == {
            self.run.in_flight[attempt] for attempt in self.run.twins
        }

    def apply(self, decision: Decision) -> None:
        self.changes.extend(decision.changes)
        for command in decision.commands:
            self.pending.extend(self.answer(command))

    def answer(self, command: cmd.Command) -> list[ev.Event]:
        match command:
            case cmd.PrepareShards(subtask_id=subtask_id):
                return [self.prepared(subtask_id)]
            case cmd.GatherResult(subtask_id=subtask_id):
                return [ev.ResultGathered(subtask_id=subtask_id, result=Value(inline=b"1"))]
            case cmd.Dispatch(attempt_id=attempt_id):
                self.dispatched.append(attempt_id)
                return self.end_of(attempt_id)
            case cmd.CancelAttempt(attempt_id=attempt_id) if self.random.random() < 0.5:
                return [ev.AttemptFinished(attempt_id=attempt_id, outcome=outcome("cancelled"))]
            case _:
                return []

    def prepared(self, subtask_id: str) -> ev.Event:
        foreach = self.run.subtasks[subtask_id].spec.foreach
        if self.random.random() < self.luck.get("unpreparable", 0):
            return ev.PrepareFailed(subtask_id=subtask_id, reason="no table")
        value = Value(inline=b"[0]")
        pieces: tuple[Piece, ...] = (
            (Whole(),)
            if foreach is None
            else tuple(Items(first=at, count=1, values=value) for at in range(len(foreach.items or ())))
        )
        return ev.ShardsPrepared(subtask_id=subtask_id, pieces=pieces)

    def end_of(self, attempt_id: str) -> list[ev.Event]:
        events: list[ev.Event] = []
        if self.random.random() < 0.5:
            events.append(ev.AttemptStarted(attempt_id=attempt_id, worker="w", at=NOW))
        draw = self.random.random()
        if draw < self.luck.get("lost", 0):
            events.append(ev.AttemptLost(attempt_id=attempt_id, worker="w", reason="gone", at=NOW))
        else:
            kind: OutcomeKind = "failed" if self.random.random() < self.luck.get("failed", 0) else "succeeded"
            events.append(ev.AttemptFinished(attempt_id=attempt_id, outcome=outcome(kind)))
        if self.random.random() < self.luck.get("twice", 0):
            events.append(events[-1])
        return events

    def drive(self) -> RunProgress:
        for _ in range(10_000):
            if self.run.ended or not self.pending:
                return self.run
            self.step()
        raise AssertionError("the run did not end")


def outcome(kind: OutcomeKind) -> Outcome:
    receipt = Receipt(
        worker="w", sandbox_tier=Tier.LANDLOCK, code_sha256="", input_sha256s={}, started_at=NOW, finished_at=NOW
    )
    return Outcome(
        kind=kind, receipt=receipt, reason="" if kind == "succeeded" else "bad", result=Value(inline=b"1")
    )


chances = st.sampled_from([0.0, 0.2, 0.6])
lucks = st.fixed_dictionaries(
    {"failed": chances, "lost": chances, "twice": chances, "slow": chances, "unpreparable": st.just(0.0)}
)


@given(plan=plans(), seed=st.integers(), luck=lucks, window=st.sampled_from([1, 2, 1000]))
@settings(max_examples=300, deadline=None)
def test_every_run_ends_whole(plan: Plan, seed: int, luck: dict[str, float], window: int) -> None:
    world = World(plan, seed, luck=luck, window=window)
    run = world.drive()
    assert run.ended
    assert not run.in_flight
    assert run.retries <= retry_budget(run)
    assert all(is_final(subtask.state) for subtask in run.subtasks.values())
    for subtask in run.subtasks.values():
        assert all(is_final(shard.state) for shard in subtask.shards), subtask
        assert all(shard.losses <= MAX_ATTEMPTS for shard in subtask.shards)
        assert subtask.open_shards == 0


@given(plan=plans(), seed=st.integers(), luck=lucks)
@settings(max_examples=300, deadline=None)
def test_nothing_is_dispatched_or_committed_twice(plan: Plan, seed: int, luck: dict[str, float]) -> None:
    world = World(plan, seed, luck=luck)
    world.drive()
    assert len(set(world.dispatched)) == len(world.dispatched)
    ends = Counter(
        change.attempt_id
        for change in world.changes
        if isinstance(change, ch.AttemptChanged) and is_final(change.state)
    )
    assert set(ends.values()) <= {1}
    successes = Counter(
        (change.subtask_id, change.index)
        for change in world.changes
        if isinstance(change, ch.ShardChanged) and change.state is ShardState.SUCCEEDED
    )
    assert set(successes.values()) <= {1}
    assert sum(isinstance(change, ch.RunChanged) and is_final(change.state) for change in world.changes) == 1


@given(plan=plans(), seed=st.integers(), luck=lucks)
@settings(max_examples=200, deadline=None)
def test_no_subtask_starts_before_its_needs_succeeded(plan: Plan, seed: int, luck: dict[str, float]) -> None:
    world = World(plan, seed, luck=luck)
    world.drive()
    succeeded: set[str] = set()
    for change in world.changes:
        if isinstance(change, ch.AttemptAdded):
            assert set(plan.subtask(change.subtask_id).needs) <= succeeded
        if isinstance(change, ch.SubtaskChanged) and change.state is SubtaskState.SUCCEEDED:
            succeeded.add(change.subtask_id)


@given(plan=plans(), seed=st.integers(), after=st.integers(0, 30), deadline=st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_cancelled_run_starts_nothing_more_and_ends(plan: Plan, seed: int, after: int, deadline: bool) -> None:
    world = World(plan, seed, luck={"lost": 0.3, "slow": 0.5})
    for _ in range(after):
        if world.run.ended or not world.pending:
            break
        world.step()
    if world.run.ended or world.run.stopping is not None:
        return
    started = world.run.state is not RunState.PLANNED
    world.apply(decide(world.run, ev.CancelRequested(reason="enough", failed=deadline and started)))
    dispatched = len(world.dispatched)
    run = world.drive()
    assert len(world.dispatched) == dispatched
    assert run.state is (RunState.FAILED if deadline and started else RunState.CANCELLED)
    assert run.stop_reason == "enough"


@given(plan=plans(), seed=st.integers())
@settings(max_examples=100, deadline=None)
def test_without_bad_luck_everything_succeeds(plan: Plan, seed: int) -> None:
    run = World(plan, seed, luck={"slow": 0.5}).drive()
    assert run.state is RunState.SUCCEEDED
    assert all(subtask.state is SubtaskState.SUCCEEDED for subtask in run.subtasks.values())


@given(plan=plans(), seed=st.integers(), luck=lucks)
@settings(max_examples=100, deadline=None)
def test_replaying_the_same_events_gives_the_same_run(plan: Plan, seed: int, luck: dict[str, float]) -> None:
    first, second = World(plan, seed, luck=luck), World(plan, seed, luck=luck)
    first.drive()
    second.drive()
    assert first.changes == second.changes


@pytest.mark.parametrize("on_failure", ["fail_run", "continue"])
def test_a_failure_does_what_on_failure_says(on_failure: str) -> None:
    work = PythonWork(kind="python", code="1")
    plan = Plan(
        subtasks=(
            Subtask(id="bad", work=work, on_failure=on_failure),  # type: ignore[arg-type]  # from parametrize
            Subtask(id="after", work=work, needs=("bad",)),
            Subtask(id="other", work=work),
        )
    )
    run = create_progress("r", plan, RunOptions(), {})
    decide(run, ev.RunStarted())
    decide(run, ev.ShardsPrepared(subtask_id="bad", pieces=(Whole(),)))
    decide(run, ev.ShardsPrepared(subtask_id="other", pieces=(Whole(),)))
    made = decide(run, ev.AttemptFinished(attempt_id="r/bad/0/1", outcome=outcome("failed")))
    if on_failure == "fail_run":
        assert cmd.CancelAttempt(attempt_id="r/other/0/1") in made.commands
        decide(run, ev.AttemptLost(attempt_id="r/other/0/1", worker="w", reason="", at=NOW))
        assert run.state is RunState.FAILED
        assert run.stop_reason == "bad failed: bad"
    else:
        assert run.subtasks["after"].state is SubtaskState.SKIPPED
        decide(run, ev.AttemptFinished(attempt_id="r/other/0/1", outcome=outcome("succeeded")))
        decide(run, ev.ResultGathered(subtask_id="other", result=Value(inline=b"1")))
        assert run.state is RunState.SUCCEEDED


def test_a_lost_attempt_is_tried_elsewhere_and_then_given_up() -> None:
    plan = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1"), max_attempts=2),))
    run = create_progress("r", plan, RunOptions(), {})
    decide(run, ev.RunStarted())
    decide(run, ev.ShardsPrepared(subtask_id="a", pieces=(Whole(),)))
    decide(run, ev.AttemptStarted(attempt_id="r/a/0/1", worker="w1", at=NOW))
    made = decide(run, ev.AttemptLost(attempt_id="r/a/0/1", worker="w1", reason="killed", at=NOW))
    again = cmd.Dispatch(attempt_id="r/a/0/2", subtask_id="a", shard_index=0, avoid_workers=("w1",))
    assert made.commands == [again]
    decide(run, ev.AttemptStarted(attempt_id="r/a/0/2", worker="w2", at=NOW))
    decide(run, ev.AttemptLost(attempt_id="r/a/0/2", worker="w2", reason="killed", at=NOW))
    assert run.state is RunState.FAILED
    assert "lost 2 times" in run.stop_reason


def test_what_no_worker_could_take_fails_at_once() -> None:
    plan = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1")),))
    run = create_progress("r", plan, RunOptions(), {})
    decide(run, ev.RunStarted())
    decide(run, ev.ShardsPrepared(subtask_id="a", pieces=(Whole(),)))
    decide(run, ev.AttemptLost(attempt_id="r/a/0/1", worker="", reason="no worker is connected", at=NOW))
    assert run.state is RunState.FAILED
    assert run.stop_reason == "a failed: no worker is connected"


def test_an_attempt_that_was_called_off_is_cancelled_not_lost() -> None:
    plan = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1")),))
    run = create_progress("r", plan, RunOptions(), {})
    decide(run, ev.RunStarted())
    decide(run, ev.ShardsPrepared(subtask_id="a", pieces=(Whole(),)))
    decide(run, ev.CancelRequested(reason="enough"))
    made = decide(run, ev.AttemptLost(attempt_id="r/a/0/1", worker="", reason="cancelled", at=NOW))
    (ended, *_) = [change for change in made.changes if isinstance(change, ch.AttemptChanged)]
    assert ended.state is AttemptState.CANCELLED
    assert run.state is RunState.CANCELLED
