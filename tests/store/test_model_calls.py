"""What runs asked of models: charged once, settled once, kept in order; and what models answered."""

from __future__ import annotations

import asyncio
import datetime
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from nadg.domain.assignment import Whole
from nadg.domain.changes import RunChanged, ShardChanged, ShardsAdded
from nadg.domain.clock import Clock
from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage, StoredAnswer
from nadg.domain.run import NewRun
from nadg.domain.states import RunState, ShardState
from nadg.store import SqlStore, Store, open_store
from tests.store.conftest import Query

Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]
NewRuns = Callable[..., NewRun]
Advance = Callable[[float], None]

USAGE = ModelUsage(
    models=("google:m",),
    answers=1,
    requests=2,
    input_tokens=7,
    output_tokens=5,
    cost_usd=0.25,
    latency_seconds=1.5,
)


def _charge(name: str, clock: Clock, run_id: str = "run", cost_usd: float | None = 0.5) -> CallCharge:
    return CallCharge(
        id=name,
        run_id=run_id,
        purpose="plan",
        model="google:m",
        tokens=1 << 40,
        cost_usd=cost_usd,
        at=clock.now(),
        subtask_id="a" if name == "1" else "",
    )


def test_calls_are_read_back_equal_and_in_order_also_after_a_restart(opened: Opened, clock: Clock) -> None:
    charges = [_charge(name, clock, cost_usd=None if name == "9" else 0.5) for name in "19a02"]
    cached = CallRecord(charge=_charge("c", clock), state="cached", usage=ModelUsage(cached=1), reason="why “not”")
    wanted = [
        CallRecord(charge=charges[0], state="answered", usage=USAGE),
        CallRecord(charge=charges[1], state="failed", reason="no answer"),
        *(CallRecord(charge=one, state="charged") for one in charges[2:]),
        cached,
    ]

    async def scenario() -> None:
        async with opened() as store:
            seam: Store = store
            for one in charges:
                await seam.model_calls.charge(one)
            await seam.model_calls.charge(_charge("other", clock, run_id="other"))
            await seam.model_calls.record(cached)
            await seam.model_calls.settle("9", "failed", None, "no answer")
            await seam.model_calls.settle("1", "answered", USAGE)
        async with opened() as store:
            assert list(await store.model_calls.calls("run")) == wanted
            assert len(await store.model_calls.calls("other")) == 1
            assert list(await store.model_calls.calls("no")) == []

    asyncio.run(scenario())


def test_an_id_is_charged_once(opened: Opened, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await store.model_calls.charge(_charge("1", clock))
            with pytest.raises(ValueError, match="a model call 1 already"):
                await store.model_calls.charge(_charge("1", clock, run_id="other"))
            with pytest.raises(ValueError, match="a model call 1 already"):
                await store.model_calls.record(CallRecord(charge=_charge("1", clock), state="cached"))
            (kept,) = await store.model_calls.calls("run")
            assert kept == CallRecord(charge=_charge("1", clock), state="charged")
            assert list(await store.model_calls.calls("other")) == []

    asyncio.run(scenario())


def test_the_first_settling_stands(opened: Opened, clock: Clock) -> None:
    async def scenario() -> None:
        async with opened() as store:
            for name in "12":
                await store.model_calls.charge(_charge(name, clock))
            await store.model_calls.record(CallRecord(charge=_charge("3", clock), state="cached", usage=USAGE))
            await store.model_calls.settle("1", "failed", USAGE, "blocked")
            for name in ("1", "3", "unknown"):
                await store.model_calls.settle(name, "answered", ModelUsage(), "later")
            for state in ("charged", "cached", "nonsense"):
                with pytest.raises(ValueError, match="it is one of answered, failed, refused"):
                    await store.model_calls.settle("2", state, USAGE)
            found = [(one.state, one.usage, one.reason) for one in await store.model_calls.calls("run")]
            assert found == [("failed", USAGE, "blocked"), ("charged", None, ""), ("cached", USAGE, "")]

    asyncio.run(scenario())


def test_a_run_shows_its_calls_those_that_made_its_plan_too_and_takes_them_along(
    opened: Opened, clock: Clock, new_run: NewRuns
) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await store.model_calls.charge(_charge("1", clock))
            await store.model_calls.charge(_charge("2", clock, run_id="other"))
            await store.model_calls.settle("1", "answered", USAGE)
            lease = await store.runs.create(new_run(run_id="run"), "me")
            await store.model_calls.charge(_charge("3", clock))
            run = await store.runs.get("run")
            assert list(run.calls) == list(await store.model_calls.calls("run"))
            assert [one.charge.id for one in run.calls] == ["1", "3"]
            assert run.usage == USAGE
            await store.runs.commit(lease, [RunChanged(state=RunState.CANCELLED)])
            await store.runs.delete("run")
            assert list(await store.model_calls.calls("run")) == []
            assert [one.charge.id for one in await store.model_calls.calls("other")] == ["2"]

    asyncio.run(scenario())


def test_charges_at_the_same_time_are_all_kept_in_the_order_they_came(
    query: Query, opened: Opened, clock: Clock
) -> None:
    async def scenario() -> None:
        async with opened() as store:
            charges = [_charge(f"{(7 * one) % 100}", clock) for one in range(100)]
            await asyncio.gather(*(store.model_calls.charge(one) for one in charges))
            assert [one.charge for one in await store.model_calls.calls("run")] == charges

    asyncio.run(scenario())
    assert query("SELECT position FROM model_calls ORDER BY position") == [(place,) for place in range(1, 101)]


def test_a_charge_waits_for_the_group_under_way_and_not_for_those_behind_it(
    opened: Opened, clock: Clock, new_run: NewRuns
) -> None:
    done: list[str] = []

    async def noted(name: str, asked: asyncio.Future[int] | asyncio.Task[None] | asyncio.Task[int]) -> None:
        await asked
        done.append(name)

    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),) * 5_000)])
            commits = [
                asyncio.create_task(
                    store.runs.commit(
                        lease,
                        [
                            ShardChanged(subtask_id="a", index=index, state=ShardState.RUNNING)
                            for index in range(first, first + 1_000)
                        ],
                    )
                )
                for first in range(0, 5_000, 1_000)
            ]
            charge = asyncio.create_task(store.model_calls.charge(_charge("1", clock)))
            await asyncio.gather(noted("charge", charge), *(noted("commit", one) for one in commits))
            assert done.index("charge") <= 1

    asyncio.run(scenario())


def _answer(text: str) -> StoredAnswer:
    return StoredAnswer(model="google:m", text=text, usage=USAGE)


def test_an_answer_is_kept_and_a_later_one_takes_its_place(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            seam: Store = store
            assert await seam.model_answers.get("k") is None
            await seam.model_answers.put("k", _answer("first"))
            await seam.model_answers.put("k", _answer("täst \x00 “it”"))
            await seam.model_answers.put("l", _answer(""))
        async with opened() as store:
            assert await store.model_answers.get("k") == _answer("täst \x00 “it”")
            assert await store.model_answers.get("l") == _answer("")
            assert await store.model_answers.get("m") is None

    asyncio.run(scenario())


def test_use_is_noted_once_a_day(query: Query, opened: Opened, advance: Advance, clock: Clock) -> None:
    def last_used() -> datetime.datetime:
        ((stored,),) = query("SELECT last_used_at FROM model_answers WHERE key = 'k'")
        if isinstance(stored, datetime.datetime):
            return stored
        return datetime.datetime.fromisoformat(str(stored)).replace(tzinfo=datetime.UTC)

    async def scenario() -> None:
        async with opened() as store:
            await store.model_answers.put("k", _answer("it"))
            begun = clock.now()
            advance(86_399)
            await store.model_answers.get("k")
            assert last_used() == begun
            advance(1)
            assert await store.model_answers.get("k") == _answer("it")
            assert last_used() == clock.now()

    asyncio.run(scenario())


def test_an_answer_that_was_just_used_is_read_while_another_process_writes(database: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with open_store(database, clock, busy_seconds=0.02) as store:
            await store.model_answers.put("k", _answer("it"))
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert await store.model_answers.get("k") == _answer("it")

    asyncio.run(scenario())
