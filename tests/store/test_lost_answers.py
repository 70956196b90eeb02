"""Operations whose COMMIT went through while its answer was lost: repeated, they give what they gave."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from nadg.domain.assignment import Whole
from nadg.domain.blob import BlobRef
from nadg.domain.changes import AttemptAdded, AttemptChanged, RunChanged, ShardsAdded
from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost, NotFound, UserError
from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage, StoredAnswer
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import AttemptState, RunState
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo, WorkerStatus
from nadg.store import SqlStore, open_store
from tests.store.faults import AFTER, BEFORE, Door, Fault, open_door

T = TypeVar("T")

NewRuns = Callable[..., NewRun]
Advance = Callable[[float], None]
Between = Callable[[], Awaitable[object]]
ENDED = [RunChanged(state=RunState.RUNNING), RunChanged(state=RunState.SUCCEEDED)]


class _Patient:
    """Opens the store so that it waits as long as it takes; `between` is done instead of each waiting."""

    def __init__(self, place: Path | str, clock: Clock) -> None:
        self._place, self._clock = place, clock
        self.between: Between | None = None

    def open(self) -> AbstractAsyncContextManager[SqlStore]:
        return open_store(self._place, self._clock, patience_seconds=None, wait=self._wait)

    async def _wait(self, _seconds: float) -> None:
        if self.between is not None:
            await self.between()


@pytest.fixture
def patient(place: Path | str, clock: Clock) -> _Patient:
    return _Patient(place, clock)


def _whole(patient: _Patient, scenario: Callable[[SqlStore, Door], Awaitable[None]]) -> None:
    async def opened() -> None:
        with open_door() as door:
            async with patient.open() as store:
                await scenario(store, door)

    asyncio.run(opened())


async def _twice(door: Door, operation: Awaitable[T]) -> T:
    """What it gives where its first answer is lost."""
    fired = door.fired
    door.put([AFTER])
    answer = await operation
    assert door.fired == fired + 1
    return answer


@pytest.mark.parametrize("fault", [Fault("statement", 0), Fault("statement", 2), BEFORE, AFTER])
def test_a_commit_is_written_once(patient: _Patient, new_run: NewRuns, fault: Fault) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        lease = await store.runs.create(new_run(), "me")
        door.put([fault])
        assert await store.runs.commit(lease, [ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))]) == 1
        assert await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)]) == 2
        assert door.fired == 1
        assert [event.seq for event in await store.runs.events_after(lease.run_id, 0)] == [1, 2]

    _whole(patient, scenario)


def test_ended_attempts_are_counted_once(patient: _Patient, new_run: NewRuns) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        info = WorkerInfo(name="w", slots=1, tier=Tier.NONE)
        await store.workers.seen("http://w", info, WorkerStatus.ACTIVE)
        lease = await store.runs.create(new_run(), "me")
        await store.runs.commit(lease, [ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))])
        name = f"{lease.run_id}/a/0/1"
        await store.runs.commit(lease, [AttemptAdded(attempt_id=name, subtask_id="a", index=0, number=1)])
        end = AttemptChanged(attempt_id=name, state=AttemptState.LOST, worker="w")
        assert await _twice(door, store.runs.commit(lease, [end])) == 3
        assert (await store.workers.get("w")).total_tasks == 1

    _whole(patient, scenario)


def test_every_verdict_of_a_group_is_what_it_was(patient: _Patient, new_run: NewRuns) -> None:
    """The one at fault is refused, those beside it are answered, and a run that ended with it is not lost."""

    async def scenario(store: SqlStore, door: Door) -> None:
        one, two = await store.runs.create(new_run(), "me"), await store.runs.create(new_run(), "me")
        bad = AttemptChanged(attempt_id="no", state=AttemptState.LOST)
        shards = ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))
        door.put([None, AFTER])
        answers = await asyncio.gather(
            store.runs.commit(one, []),
            store.runs.commit(one, [bad]),
            store.runs.commit(two, [shards]),
            store.runs.commit(one, ENDED),
            return_exceptions=True,
        )
        assert [str(answer) for answer in answers] == [
            "0",
            f"run {one.run_id} no: absent -> lost is not a legal move",
            "1",
            "2",
        ]
        assert door.fired == 1

    _whole(patient, scenario)


async def _taken_over(patient: _Patient, lease: Lease, advance: Advance) -> None:
    """Another master finds the lease run out, and writes."""
    patient.between = None
    advance(3600)
    async with patient.open() as other:
        taken = await other.runs.claim(lease.run_id, "other")
        assert taken is not None
        await other.runs.commit(taken, [RunChanged(state=RunState.RUNNING)])


@pytest.mark.parametrize("fault", [BEFORE, AFTER])
def test_a_master_deposed_in_trouble_hears_what_became_of_its_commit(
    patient: _Patient, new_run: NewRuns, advance: Advance, fault: Fault
) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        lease = await store.runs.create(new_run(), "me")
        door.put([fault])
        patient.between = lambda: _taken_over(patient, lease, advance)
        commit = store.runs.commit(lease, [ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))])
        if fault == AFTER:
            assert await commit == 1
        else:
            with pytest.raises(LeaseLost):
                await commit
        events = await store.runs.events_after(lease.run_id, 0)
        assert [(event.seq, event.term) for event in events] == ([(1, 1), (2, 2)] if fault == AFTER else [(1, 2)])
        with pytest.raises(LeaseLost):
            await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)])
        with pytest.raises(LeaseLost):
            await store.runs.renew(lease)

    _whole(patient, scenario)


def test_a_run_that_was_deleted_in_the_trouble_is_lost(patient: _Patient, new_run: NewRuns) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        lease = await store.runs.create(new_run(), "me")

        async def delete() -> None:
            async with patient.open() as other:
                await other.runs.delete(lease.run_id)

        door.put([AFTER])
        patient.between = delete
        with pytest.raises(LeaseLost, match="is gone"):
            await store.runs.commit(lease, ENDED)

    _whole(patient, scenario)


def test_a_run_is_made_once_and_its_maker_holds_it(patient: _Patient, new_run: NewRuns, advance: Advance) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        lease = await _twice(door, store.runs.create(new_run(run_id="one"), "me"))
        assert lease == Lease(run_id="one", owner="me", term=1)
        assert [part.id for part in (await store.runs.get("one")).subtasks] == ["a"]
        with pytest.raises(UserError, match="a new run needs a new id"):
            await store.runs.create(new_run(run_id="one"), "you")
        patient.between = lambda: _taken_over(patient, Lease(run_id="two", owner="me", term=1), advance)
        with pytest.raises(LeaseLost, match="run two was taken over by other"):
            await _twice(door, store.runs.create(new_run(run_id="two"), "me"))

    _whole(patient, scenario)


def test_leases(patient: _Patient, new_run: NewRuns, advance: Advance) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        first = await store.runs.create(new_run(), "me", lease_seconds=10)
        advance(9)
        await _twice(door, store.runs.renew(first, 10))
        advance(9)
        assert await store.runs.claim(first.run_id, "you") is None
        await _twice(door, store.runs.release(first))
        second = await _twice(door, store.runs.claim(first.run_id, "you"))
        assert second == Lease(run_id=first.run_id, owner="you", term=2)
        await _twice(door, store.runs.release(first))
        await store.runs.renew(second)

    _whole(patient, scenario)


def test_a_lease_lasts_from_when_it_is_written(patient: _Patient, new_run: NewRuns, advance: Advance) -> None:
    """However long the trouble before took."""

    async def scenario(store: SqlStore, door: Door) -> None:
        lease = await store.runs.create(new_run(), "me", lease_seconds=10)

        async def trouble() -> None:
            advance(100)

        patient.between = trouble
        door.put([BEFORE])
        await store.runs.renew(lease, 10)
        assert await store.runs.unowned() == []
        await store.runs.release(lease)
        door.put([BEFORE])
        assert await store.runs.claim(lease.run_id, "you", 10) is not None
        assert await store.runs.unowned() == []

    _whole(patient, scenario)


def test_runs_that_are_cancelled_deleted_and_pruned(patient: _Patient, new_run: NewRuns, clock: Clock) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        leases = [await store.runs.create(new_run(), "me") for _ in range(4)]
        assert await _twice(door, store.runs.request_cancel(leases[0].run_id, "enough"))
        assert await store.runs.cancel_requested(leases[0].run_id) == "enough"
        for lease in leases:
            await store.runs.commit(lease, ENDED)
        await _twice(door, store.runs.delete(leases[0].run_id))
        with pytest.raises(NotFound):
            await store.runs.delete(leases[0].run_id)
        later = clock.now() + datetime.timedelta(days=1)
        gone = await _twice(door, store.runs.prune(later, limit=2))
        assert gone == [leases[1].run_id, leases[2].run_id]
        door.put([BEFORE])
        assert await store.runs.prune(later) == [leases[3].run_id]
        assert await store.runs.list() == []

    _whole(patient, scenario)


def test_calls_of_models(patient: _Patient, clock: Clock) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        charge = CallCharge(
            id="1", run_id="run", purpose="plan", model="m", tokens=7, cost_usd=0.1, at=clock.now(), subtask_id=""
        )
        await _twice(door, store.model_calls.charge(charge))
        usage = ModelUsage(models=("m",), input_tokens=3)
        await _twice(door, store.model_calls.settle("1", "answered", usage))
        cached = CallRecord(charge=replace(charge, id="2"), state="cached", usage=usage)
        await _twice(door, store.model_calls.record(cached))
        answered = CallRecord(charge=charge, state="answered", usage=usage)
        assert list(await store.model_calls.calls("run")) == [answered, cached]
        with pytest.raises(ValueError, match="a model call 1 already"):
            await store.model_calls.charge(charge)  # settled since: not what was just asked
        answer = StoredAnswer(model="m", text="yes", usage=usage)
        await _twice(door, store.model_answers.put("key", answer))
        assert await store.model_answers.get("key") == answer
        await _twice(door, store.model_answers.forget("key"))
        assert await store.model_answers.get("key") is None

    _whole(patient, scenario)


def test_workers_and_blobs(patient: _Patient, clock: Clock) -> None:
    async def scenario(store: SqlStore, door: Door) -> None:
        info = WorkerInfo(name="w", slots=1, tier=Tier.NONE)
        added = await _twice(door, store.workers.add("http://w"))
        seen = await _twice(door, store.workers.seen("http://w", info, WorkerStatus.ACTIVE))
        await _twice(door, store.workers.set_status(added.id, WorkerStatus.BUSY))
        assert [(one.id, one.status) for one in await store.workers.list()] == [(seen.id, WorkerStatus.BUSY)]
        await _twice(door, store.workers.remove(added.id))
        with pytest.raises(NotFound):
            await store.workers.remove(added.id)
        blob = BlobRef(sha256="0" * 64, size=3)
        await _twice(door, store.blobs.record([blob]))
        await _twice(door, store.blobs.touch([blob.sha256]))
        later = clock.now() + datetime.timedelta(days=1)
        assert [one.blob for one in await store.blobs.unused_since(later)] == [blob]
        await _twice(door, store.blobs.forget([blob.sha256]))
        assert await store.blobs.unused_since(later) == []

    _whole(patient, scenario)
