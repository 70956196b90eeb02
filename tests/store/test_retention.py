"""What `prune` forgets, and which blobs the rest still speaks of."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from nadg.bootstrap.pruning import forget_rows
from nadg.domain.assignment import Files, Merge, Part, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.changes import AttemptAdded, AttemptChanged, RunChanged, ShardChanged, ShardsAdded, SubtaskChanged
from nadg.domain.clock import Clock
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import CallCharge, ModelUsage, StoredAnswer
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.run import NewRun
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.store import SqlStore

Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]


def blob(digit: str) -> BlobRef:
    return BlobRef(sha256=digit * 64, size=1)


def file(digit: str) -> FileRef:
    return FileRef(name=f"{digit}.bin", blob=blob(digit))


async def ended(store: SqlStore, new: NewRun) -> None:
    lease = await store.runs.create(new, "me")
    await store.runs.commit(lease, [RunChanged(state=RunState.CANCELLED)])


def test_runs_that_ended_long_ago_are_forgotten_oldest_first(
    opened: Opened, clock: Clock, advance: Callable[[float], None], new_run: Callable[..., NewRun]
) -> None:
    async def body() -> None:
        async with opened() as store:
            first, second, third, alive = (new_run("a") for _ in range(4))
            await store.runs.create(alive, "me")
            await ended(store, first)
            advance(10)
            await ended(store, second)
            advance(10)
            await ended(store, third)
            before = clock.now() - datetime.timedelta(seconds=5)
            assert await store.runs.prune(before, 1) == [first.id]
            assert await store.runs.prune(before, 100) == [second.id]
            assert await store.runs.prune(before, 100) == []
            assert {run.id for run in await store.runs.list()} == {third.id, alive.id}
            assert await store.runs.events_after(first.id, 0) == []

    asyncio.run(body())


def test_answers_and_calls_without_a_run_go_when_they_are_old(
    opened: Opened, clock: Clock, advance: Callable[[float], None], new_run: Callable[..., NewRun]
) -> None:
    async def body() -> None:
        async with opened() as store:
            run = new_run("a")
            await store.runs.create(run, "me")
            for number, run_id in enumerate((run.id, "never-was")):
                charge = CallCharge(
                    id=f"c{number}",
                    run_id=run_id,
                    purpose="plan",
                    model="m",
                    tokens=1,
                    cost_usd=None,
                    at=clock.now(),
                )
                await store.model_calls.charge(charge)
            await store.model_answers.put("old", StoredAnswer(model="m", text="t", usage=ModelUsage()))
            advance(100)
            await store.model_answers.put("new", StoredAnswer(model="m", text="t", usage=ModelUsage()))
            before = clock.now() - datetime.timedelta(seconds=50)
            assert (await store.model_answers.prune(before), await store.model_calls.prune(before)) == (1, 1)
            assert await store.model_answers.get("old") is None
            assert await store.model_answers.get("new") is not None
            assert [call.charge.id for call in await store.model_calls.calls(run.id)] == ["c0"]

    asyncio.run(body())


def test_every_place_where_a_run_speaks_of_a_blob_is_looked_at(
    opened: Opened, clock: Clock, new_run: Callable[..., NewRun]
) -> None:
    async def body() -> None:
        async with opened() as store:
            assert await store.referenced_blobs() == frozenset()
            planned = new_run("a", "b")
            inputs = (InputFile(name="t.csv", blob=blob("1"), kind="table"),)
            new = NewRun(id="r", command="c", planner="file", plan=planned.plan, inputs=inputs)
            lease = await store.runs.create(new, "me")
            parts = (Part(result=Value(blob=blob("2")), files=(file("3"),)),)
            pieces = (Merge(parts=parts), Files(first=0, files=(file("4"),)), Whole())
            now = clock.now()
            receipt = Receipt(
                worker="w", sandbox_tier=None, code_sha256="", input_sha256s={}, started_at=now, finished_at=now
            )
            outcome = Outcome(
                kind="succeeded", receipt=receipt, result=Value(blob=blob("5")), artifacts=(file("6"),)
            )
            result = Value(blob=blob("7"))
            moves = [
                SubtaskChanged(subtask_id="a", state=state)
                for state in (SubtaskState.PREPARING, SubtaskState.RUNNING)
            ]
            await store.runs.commit(
                lease,
                [
                    RunChanged(state=RunState.RUNNING),
                    *moves,
                    ShardsAdded(subtask_id="a", first=0, pieces=pieces),
                    AttemptAdded(attempt_id="r/a/0/1", subtask_id="a", index=0, number=1),
                    ShardChanged(subtask_id="a", index=0, state=ShardState.RUNNING),
                    AttemptChanged(attempt_id="r/a/0/1", state=AttemptState.SUCCEEDED, outcome=outcome),
                    SubtaskChanged(subtask_id="a", state=SubtaskState.CLOSING),
                    SubtaskChanged(
                        subtask_id="a", state=SubtaskState.SUCCEEDED, result=result, artifacts=(file("8"),)
                    ),
                ],
            )
            assert await store.referenced_blobs() == {digit * 64 for digit in "12345678"}

    asyncio.run(body())


def test_large_runs_are_forgotten_and_looked_at_a_few_at_a_time(
    opened: Opened,
    clock: Clock,
    advance: Callable[[float], None],
    new_run: Callable[..., NewRun],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nadg.store.retention.EVENTS_AT_ONCE", 2)

    async def body() -> None:
        async with opened() as store:
            plan = new_run("a").plan
            for digit in "12345":
                inputs = (InputFile(name="t.csv", blob=blob(digit), kind="table"),)
                await ended(store, NewRun(id=f"r{digit}", command="c", planner="file", plan=plan, inputs=inputs))
                advance(1)
            assert await store.referenced_blobs() == {digit * 64 for digit in "12345"}
            gone = []
            while some := await store.runs.prune(clock.now(), 100):
                gone.append(some)
            assert gone == [["r1", "r2"], ["r3", "r4"], ["r5"]]

    asyncio.run(body())


def test_rows_of_blobs_that_are_gone_go_too(
    opened: Opened, clock: Clock, advance: Callable[[float], None]
) -> None:
    async def body() -> None:
        async with opened() as store:
            await store.blobs.record([blob("1"), blob("2")])
            advance(100)
            await store.blobs.record([blob("3")])
            await forget_rows(store.blobs, clock.now() - datetime.timedelta(seconds=50), {"1" * 64})
            left = await store.blobs.unused_since(clock.now() + datetime.timedelta(seconds=1))
            assert {one.blob for one in left} == {blob("1"), blob("3")}

    asyncio.run(body())
