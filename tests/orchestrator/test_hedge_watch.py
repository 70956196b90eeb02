"""Slow attempts are found by the master's clock, and tried a second time where slots are free."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest

from nadg.domain import events as ev
from nadg.domain.assignment import Assignment, Code, Items, Piece, Whole
from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import AttemptState, RunState
from nadg.engines.fake import FakeEngine, Say
from nadg.orchestrator import hedge_watch, hedging
from nadg.orchestrator.decide import decide
from nadg.orchestrator.export import run_document
from nadg.orchestrator.hedge_moves import QUICKER
from nadg.orchestrator.hedge_watch import HedgeWatch
from nadg.orchestrator.progress import create_progress
from tests.orchestrator.test_decide_properties import NOW, outcome
from tests.orchestrator.test_loop import CLOCK, PYTHON, Bench, echo, on_bench, stuck

SHARDS = 8


class HandClock:
    """Stands still until somebody moves it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime.datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


class Watched:
    """A run of one subtask whose attempts all began at once, each on a slot; four slots more are free."""

    def __init__(self, engine: FakeEngine) -> None:
        self.clock, self.told = HandClock(), list[str]()
        foreach = Foreach(items=list(range(SHARDS)), shard_size=1)
        plan = Plan(subtasks=(Subtask(id="a", work=PYTHON, foreach=foreach),))
        self.run = create_progress("r", plan, RunOptions(), {})
        self.watch = HedgeWatch(
            self.run,
            self.clock,
            free_slots=engine.free_slots,
            tell=lambda event: self.told.append(event.attempt_id),
        )
        pieces: tuple[Piece, ...] = tuple(
            Items(first=n, count=1, values=Value(inline=b"[0]")) for n in range(SHARDS)
        )
        for event in (ev.RunStarted(), ev.ShardsPrepared(subtask_id="a", pieces=pieces)):
            decide(self.run, event)

    def hear(self, event: ev.AttemptEvent) -> None:
        self.watch.heard(event)
        decide(self.run, event)

    def start(self, *shards: int) -> None:
        for shard in shards:
            self.hear(ev.AttemptStarted(attempt_id=f"r/a/{shard}/1", worker="w", at=NOW))

    def finish(self, *shards: int) -> None:
        for shard in shards:
            self.hear(ev.AttemptFinished(attempt_id=f"r/a/{shard}/1", outcome=outcome("succeeded")))

    def look(self) -> list[str]:
        self.told.clear()
        self.watch.look()
        return list(self.told)


def test_the_slowest_are_told_of_and_no_more_than_there_are_free_slots() -> None:
    async def body() -> None:
        async with FakeEngine(stuck, CLOCK, slots=2) as engine:
            watched = Watched(engine)
            watched.start(*range(SHARDS - 1))
            watched.clock.seconds += 10
            assert watched.look() == [], "nothing is known yet"
            watched.finish(0, 1, 2, 3)
            watched.clock.seconds += 9.5
            assert watched.look() == [], "19.5 s are less than twice 10 s"
            watched.start(SHARDS - 1)
            watched.clock.seconds += 1
            assert watched.look() == ["r/a/4/1", "r/a/5/1"], "a third waits for a slot; the last began late"
            await engine.submit(Assignment(attempt_id="x/y/0/1", job=Code(code=""), piece=Whole()), Silent())
            assert watched.look() == ["r/a/4/1"]
            await engine.submit(Assignment(attempt_id="x/y/1/1", job=Code(code=""), piece=Whole()), Silent())
            assert watched.look() == []

    asyncio.run(body())


def test_an_attempt_that_another_master_saw_begin_counts_from_the_first_look() -> None:
    async def body() -> None:
        async with FakeEngine(stuck, CLOCK, slots=2) as engine:
            watched = Watched(engine)
            decide(watched.run, ev.AttemptStarted(attempt_id="r/a/7/1", worker="w", at=NOW))
            watched.start(0, 1, 2)
            watched.clock.seconds += 3
            watched.finish(0, 1, 2)
            assert watched.look() == []
            watched.clock.seconds += 6.5
            assert watched.look() == ["r/a/7/1"]

    asyncio.run(body())


class Silent:
    """Hears nothing."""

    def event(self, event: ev.AttemptEvent) -> None:
        pass

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        pass


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often, and takes little for much."""
    monkeypatch.setattr(hedge_watch, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(hedging, "MIN_BOUND_SECONDS", 0.05)


async def one_sticks(assignment: Assignment, say: Say) -> Outcome:
    return await (stuck if assignment.attempt_id == "run1/a/3/1" else echo)(assignment, say)


PLAN = Plan(subtasks=(Subtask(id="a", work=PYTHON, foreach=Foreach(items=[0, 1, 2, 3], shard_size=1)),))


def test_a_run_with_a_straggler_ends_and_its_record_tells_what_lost(tmp_path: Path, impatient: None) -> None:
    async def body(bench: Bench) -> None:
        await (await bench.loop(PLAN)).run()
        record = await bench.record()
        assert record.state is RunState.SUCCEEDED
        first, second = record.subtasks[0].shards[3].attempts
        assert (first.state, first.reason, first.worker) == (AttemptState.CANCELLED, QUICKER, "fake")
        assert second.state is AttemptState.SUCCEEDED
        assert bench.engine.submitted[-1].avoid_workers == ("fake",)
        document = run_document(record, bench.blobs)
        shown = document["subtasks"][0]["shards"][3]["attempts"]
        assert [(one["state"], one["reason"]) for one in shown] == [("cancelled", QUICKER), ("succeeded", "")]
        assert bench.engine.workers.kept == []

    on_bench(tmp_path, one_sticks, body)


def test_no_second_attempt_where_hedging_is_off(tmp_path: Path, impatient: None) -> None:
    async def body(bench: Bench) -> None:
        await (await bench.loop(PLAN, RunOptions(hedge=False, timeout_seconds=0.4))).run()
        record = await bench.record()
        assert record.state is RunState.FAILED
        assert len(record.subtasks[0].shards[3].attempts) == 1

    on_bench(tmp_path, one_sticks, body)
