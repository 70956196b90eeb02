"""What every ledger and every cache of answers promises, on the fakes and on those in SQL."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nadg.domain.clock import SystemClock
from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage, StoredAnswer
from nadg.models.fake import FakeAnswerCache, FakeLedger
from nadg.models.memory import AnswerCache, Ledger
from nadg.store import open_store

AT = datetime.datetime(2026, 1, 15, 20, tzinfo=datetime.UTC)
MODEL = "google:gemini-3.5-flash-lite"
RUNS = ("0run1", "0run2")
USAGE = ModelUsage(
    models=(MODEL,),
    answers=1,
    requests=2,
    input_tokens=30,
    output_tokens=12,
    thinking_tokens=5,
    cost_usd=0.00025,
    latency_seconds=1.5,
)


class Memory(msgspec.Struct, frozen=True):
    """Both, as one store gives them."""

    ledger: Ledger
    answers: AnswerCache


OpenMemory = Callable[[], AbstractAsyncContextManager[Memory]]


@pytest.fixture(params=["fake", "sql"])
def open_memory(request: pytest.FixtureRequest, tmp_path: Path) -> OpenMemory:
    @asynccontextmanager
    async def fake() -> AsyncIterator[Memory]:
        yield Memory(FakeLedger(), FakeAnswerCache())

    @asynccontextmanager
    async def sql() -> AsyncIterator[Memory]:
        async with open_store(tmp_path / "nadg.db", SystemClock()) as store:
            yield Memory(store.model_calls, store.model_answers)

    return {"fake": fake, "sql": sql}[request.param]


def used(open_memory: OpenMemory, use: Callable[[Memory], Awaitable[None]]) -> None:
    async def body() -> None:
        async with open_memory() as memory:
            await use(memory)

    asyncio.run(body())


def charge_of(call_id: str, run_id: str = RUNS[0], **fields: Any) -> CallCharge:
    given: dict[str, Any] = {"purpose": "prompt", "model": MODEL, "tokens": 100, "cost_usd": 0.5, "at": AT}
    return CallCharge(id=call_id, run_id=run_id, **(given | fields))


def test_a_charge_stands_there_as_it_was_made(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        charge = charge_of("a", subtask_id="read", cost_usd=None, purpose="repair")
        await memory.ledger.charge(charge)
        assert list(await memory.ledger.calls(RUNS[0])) == [CallRecord(charge=charge, state="charged")]

    used(open_memory, use)


def test_a_settled_call_has_its_state_its_usage_and_its_reason(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        for call_id in "abc":
            await memory.ledger.charge(charge_of(call_id))
        await memory.ledger.settle("a", "answered", USAGE)
        await memory.ledger.settle("b", "failed", ModelUsage(requests=1, cost_usd=None), "overloaded")
        await memory.ledger.settle("c", "failed", None, "unreachable")
        assert list(await memory.ledger.calls(RUNS[0])) == [
            CallRecord(charge=charge_of("a"), state="answered", usage=USAGE),
            CallRecord(
                charge=charge_of("b"),
                state="failed",
                usage=ModelUsage(requests=1, cost_usd=None),
                reason="overloaded",
            ),
            CallRecord(charge=charge_of("c"), state="failed", reason="unreachable"),
        ]

    used(open_memory, use)


def test_the_first_settling_stands(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        await memory.ledger.charge(charge_of("a"))
        await memory.ledger.settle("a", "answered", USAGE)
        await memory.ledger.settle("a", "failed", None, "too late")
        (record,) = await memory.ledger.calls(RUNS[0])
        assert (record.state, record.usage, record.reason) == ("answered", USAGE, "")

    used(open_memory, use)


def test_an_id_that_is_taken_is_refused_and_changes_nothing(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        await memory.ledger.charge(charge_of("a"))
        with pytest.raises(ValueError, match="a"):
            await memory.ledger.charge(charge_of("a", tokens=1))
        (record,) = await memory.ledger.calls(RUNS[0])
        assert record.charge.tokens == 100

    used(open_memory, use)


def test_calls_are_those_of_one_run_in_their_order(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        ids = [f"{number % 7}-{number}" for number in range(20)]
        for number, call_id in enumerate(ids):
            await memory.ledger.charge(charge_of(call_id, RUNS[number % 2]))
        await memory.ledger.settle(ids[0], "answered", USAGE)
        assert [record.charge.id for record in await memory.ledger.calls(RUNS[0])] == ids[::2]
        assert [record.charge.id for record in await memory.ledger.calls(RUNS[1])] == ids[1::2]
        assert list(await memory.ledger.calls("0run3")) == []

    used(open_memory, use)


def test_an_answer_out_of_the_cache_is_recorded_without_a_charge(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        usage = ModelUsage(models=(MODEL,), answers=1, cached=1)
        record = CallRecord(charge=charge_of("a", tokens=0, cost_usd=0.0), state="cached", usage=usage)
        await memory.ledger.record(record)
        assert list(await memory.ledger.calls(RUNS[0])) == [record]

    used(open_memory, use)


def test_charges_made_at_the_same_time_are_all_kept(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        await asyncio.gather(*(memory.ledger.charge(charge_of(f"c{number}")) for number in range(50)))
        assert len(await memory.ledger.calls(RUNS[0])) == 50

    used(open_memory, use)


def test_an_answer_is_found_by_its_key_and_a_later_one_takes_its_place(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        first = StoredAnswer(model=MODEL, text="grün \u2028 \x00 \U0001f600", usage=USAGE)
        second = StoredAnswer(model=MODEL, text="", usage=ModelUsage(cost_usd=None))
        assert await memory.answers.get("key") is None
        await memory.answers.put("key", first)
        await memory.answers.put("other", second)
        assert await memory.answers.get("key") == first
        await memory.answers.put("key", second)
        assert await memory.answers.get("key") == second

    used(open_memory, use)


def test_an_answer_that_is_forgotten_is_asked_for_anew(open_memory: OpenMemory) -> None:
    async def use(memory: Memory) -> None:
        answer = StoredAnswer(model=MODEL, text="no plan", usage=ModelUsage())
        await memory.answers.put("k", answer)
        await memory.answers.put("other", answer)
        await memory.answers.forget("k")
        await memory.answers.forget("k")
        assert await memory.answers.get("k") is None
        assert await memory.answers.get("other") == answer

    used(open_memory, use)
