"""Two masters and one run, on a real SQLite file: the first is deposed, the second goes on where it stood."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from nadg.domain.assignment import Assignment, Items
from nadg.domain.changes import AttemptChanged, Change
from nadg.domain.errors import LeaseLost
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PromptWork, PythonWork, Subtask
from nadg.domain.run import Lease, NewRun, RunOptions
from nadg.domain.states import RunState, is_final
from nadg.engines.fake import FakeEngine, Say, create_fake_outcome
from nadg.models.call import Account, ModelCall, Reply, TextSink
from nadg.models.fake_door import FakeDoor
from nadg.orchestrator.loop import RunLoop
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.values import read_value
from tests.orchestrator.accounts import SilentAccount
from tests.orchestrator.owners import CLOCK, SKILLS, CutStore, Owners, Unwatched, open_owners, wait_until

PYTHON = PythonWork(kind="python", code="result = 1")
ITEMS = Foreach(items=[0, 1, 2, 3], shard_size=1)
PLAN = Plan(
    subtasks=(Subtask(id="each", work=PYTHON, foreach=ITEMS), Subtask(id="end", work=PYTHON, needs=("each",)))
)

CHAIN = Plan(
    subtasks=(
        *PLAN.subtasks,
        Subtask(id="more", work=PYTHON, needs=("end",)),
        Subtask(id="again", work=PYTHON, foreach=Foreach(results_of="each"), needs=("each", "more")),
        Subtask(id="last", work=PYTHON, needs=("again",)),
    )
)


class Work:
    """Gives the items of a shard, once its gate is open; counts what it carried, and what was called off."""

    def __init__(self) -> None:
        self.gates = [asyncio.Event() for _ in range(4)]
        self.carried: Counter[str] = Counter()
        self.ended: set[str] = set()
        self.called_off: list[str] = []

    async def carry(self, assignment: Assignment, say: Say) -> Outcome:
        self.carried[assignment.attempt_id] += 1
        if not isinstance(assignment.piece, Items):
            return create_fake_outcome(assignment, CLOCK, result=json.dumps(sorted(assignment.needs)).encode())
        try:
            await self.gates[assignment.piece.first].wait()
        except asyncio.CancelledError:
            self.called_off.append(assignment.attempt_id)
            raise
        self.ended.add(assignment.attempt_id)
        data = assignment.piece.values.inline or b""
        return create_fake_outcome(assignment, CLOCK, result=data, per_item=True)

    def open(self, *gates: int) -> None:
        for gate in gates or range(4):
            self.gates[gate].set()


def test_a_run_changes_hands_in_the_midst_and_no_shard_runs_twice(tmp_path: Path) -> None:
    async def body() -> None:
        work = Work()
        async with open_owners(tmp_path, work.carry) as owners:
            old, new = FakeEngine.over(owners.workers), FakeEngine.over(owners.workers)
            async with old, new:
                loop, lease = await owners.first(old, PLAN)
                running = asyncio.create_task(loop.run())
                await wait_until(lambda: len(work.carried) == 4)
                work.open(0)
                await wait_until(lambda: bool(work.ended) and not owners.workers.kept)
                await owners.depose(lease)
                second = await owners.next(new)
                with pytest.raises(LeaseLost):  # though nothing happens that it would store
                    await asyncio.wait_for(running, 10)
                work.open(1)  # ends while nobody owns it
                await wait_until(lambda: owners.workers.kept == ["run1/each/1/1"])
                going_on = asyncio.create_task(second.run())
                work.open()
                await going_on
            record = await owners.record()
            events = await owners.store.runs.events_after("run1", 0)
            assert record.state is RunState.SUCCEEDED
            result = record.subtasks[0].result
            assert result is not None
            assert json.loads(read_value(result, owners.blobs)) == [0, 1, 2, 3]
            assert set(work.carried.values()) == {1}
            assert work.called_off == []
            assert owners.workers.kept == []
            assert [one.term for one in new.submitted] == [2]
            terms = [event.term for event in events]
            assert terms == sorted(terms)
            assert set(terms) == {1, 2}

    asyncio.run(body())


def test_a_run_that_is_deposed_at_each_commit_in_turn_ends_the_same(tmp_path: Path) -> None:
    async def body() -> None:
        work = Work()
        work.open()
        async with open_owners(tmp_path, work.carry, slots=1) as owners:
            for at in range(1, 30):
                cuts = [await cut_run(owners, work, f"r{at}-{after}", at, after=after) for after in (False, True)]
                if not any(cuts):
                    assert at > 8, "there is something to cut"
                    return
        raise AssertionError("a run of five shards has fewer commits")

    asyncio.run(body())


async def cut_run(owners: Owners, work: Work, run_id: str, at: int, *, after: bool) -> bool:
    """Whether it was cut at all; it ends right in any case."""
    store = CutStore(owners.store.runs, at, after=after)
    old, new = FakeEngine.over(owners.workers), FakeEngine.over(owners.workers)
    async with old, new:
        loop, _ = await owners.first(old, CHAIN, run_id=run_id, store=store)
        try:
            await loop.run()
        except LeaseLost:
            if not is_final((await owners.record(run_id)).state):
                await (await owners.next(new, run_id)).run()
    record = await owners.record(run_id)
    assert record.state is RunState.SUCCEEDED, (at, record.reason)
    result = record.subtasks[0].result
    assert result is not None
    assert json.loads(read_value(result, owners.blobs)) == [0, 1, 2, 3]
    ends = Counter(
        event.change.attempt_id
        for event in await owners.store.runs.events_after(run_id, 0)
        if isinstance(event.change, AttemptChanged) and is_final(event.change.state)
    )
    assert set(ends.values()) == {1}
    assert all(count == 1 for attempt, count in work.carried.items() if attempt.startswith(run_id))
    return store.cut


def test_an_outcome_is_acknowledged_only_when_it_is_stored(tmp_path: Path) -> None:
    kept_at_commits: list[int] = []

    async def body() -> None:
        work = Work()
        async with open_owners(tmp_path, work.carry) as owners:

            class Looking(CutStore):
                async def commit(self, lease: Lease, changes: Sequence[Change]) -> int:
                    kept_at_commits.append(len(owners.workers.kept))
                    return await super().commit(lease, changes)

            work.open()
            async with FakeEngine.over(owners.workers) as engine:
                looking = Looking(owners.store.runs, 0, after=False)
                loop, _ = await owners.first(engine, PLAN, store=looking)
                await loop.run()
            assert owners.workers.kept == []

    asyncio.run(body())
    assert max(kept_at_commits) > 0


def test_who_cancels_is_noted_so_that_the_next_owner_cancels_too(tmp_path: Path) -> None:
    async def body() -> None:
        work = Work()
        async with open_owners(tmp_path, work.carry) as owners:
            old, new = FakeEngine.over(owners.workers), FakeEngine.over(owners.workers)
            async with old, new:
                cut = CutStore(owners.store.runs, 0, after=True)
                loop, _ = await owners.first(old, PLAN, store=cut)
                running = asyncio.create_task(loop.run())
                await wait_until(lambda: len(work.carried) == 4)
                cut._left = 1
                loop.cancel("enough")
                with pytest.raises(LeaseLost):
                    await running
                assert work.called_off == [], "its master died before it could call anything off"
                assert await owners.store.runs.cancel_requested("run1") == "enough"
                await (await owners.next(new)).run()
            record = await owners.record()
            assert (record.state, record.reason) == (RunState.CANCELLED, "enough")
            assert len(work.called_off) == 4

    asyncio.run(body())


@pytest.mark.parametrize(("age", "state"), [(3600.0, RunState.FAILED), (-3600.0, RunState.SUCCEEDED)])
def test_the_time_limit_counts_from_when_the_run_was_made(tmp_path: Path, age: float, state: RunState) -> None:
    async def body() -> None:
        work = Work()
        async with open_owners(tmp_path, work.carry) as owners, FakeEngine.over(owners.workers) as engine:
            new = NewRun(id="old", command="c", planner="file", plan=PLAN, options=RunOptions(timeout_seconds=600))
            loop = RunLoop(
                new,
                await owners.store.runs.create(new, "me"),
                store=owners.store.runs,
                engine=engine,
                blobs=owners.blobs,
                clock=CLOCK,
                skills=SKILLS,
                watcher=Unwatched(),
                created_at=CLOCK.now() - datetime.timedelta(seconds=age),
            )
            if state is RunState.SUCCEEDED:
                work.open()
            await loop.run()
            record = await owners.record("old")
            assert record.state is state
            assert record.reason in ("", "the run's time limit of 600 s was reached")

    asyncio.run(body())


class ShutDoor(FakeDoor):
    """Lets nobody in before `opened`."""

    def __init__(self) -> None:
        super().__init__(["said"])
        self.opened = asyncio.Event()

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        await self.opened.wait()
        return await super().ask(call, account, sink)


@pytest.mark.parametrize("at", [1, 2], ids=["before it began", "when it had begun"])
def test_prompt_work_of_a_master_that_is_gone_is_asked_anew_in_the_same_attempt(tmp_path: Path, at: int) -> None:
    async def body() -> None:
        door = ShutDoor()
        plan = Plan(subtasks=(Subtask(id="ask", work=PromptWork(kind="prompt", prompt="Say it.")),))
        access = ModelAccess(door=door, account=SilentAccount("run1"), concurrency=1)
        async with open_owners(tmp_path, Work().carry) as owners, FakeEngine.over(owners.workers) as engine:
            cut = CutStore(owners.store.runs, at, after=True)
            loop, _ = await owners.first(engine, plan, store=cut, models=access)
            with pytest.raises(LeaseLost):
                await loop.run()
            door.opened.set()
            await (await owners.next(engine, models=access)).run()
            record = await owners.record()
            assert record.state is RunState.SUCCEEDED, record.reason
            assert [one.number for one in record.subtasks[0].shards[0].attempts] == [1]

    asyncio.run(body())
