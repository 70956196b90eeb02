"""Creating, leasing, finding, cancelling, listing and deleting runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.changes import Change, RunChanged, ShardsAdded, SubtaskChanged
from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost, NotFound, UserError
from nadg.domain.inputs import Column, InputFile
from nadg.domain.run import NewRun, RunOptions
from nadg.domain.states import RunState, SubtaskState
from nadg.domain.tier import Tier
from nadg.store import SqlStore, Store

Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]
NewRuns = Callable[..., NewRun]
Advance = Callable[[float], None]

STARTED = RunChanged(state=RunState.RUNNING)
CANCELLED = RunChanged(state=RunState.CANCELLED)


def test_a_run_not_there_is_not_found_by_any_name(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            for asked in (
                store.runs.get("no"),
                store.runs.find("no"),
                store.runs.request_cancel("no", "why"),
                store.runs.cancel_requested("no"),
                store.runs.claim("no", "me"),
                store.runs.delete("no"),
            ):
                with pytest.raises(NotFound, match="no run no"):
                    await asked
            assert await store.runs.events_after("no", 0) == []

    asyncio.run(scenario())


def test_an_id_is_taken_once(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            await store.runs.create(new_run(run_id="one"), "me")
            with pytest.raises(UserError, match="there is a run one already"):
                await store.runs.create(new_run(run_id="one"), "you")

    asyncio.run(scenario())


def test_a_stored_run_is_read_back_equal(opened: Opened, new_run: NewRuns, clock: Clock) -> None:
    new = NewRun(
        id="full",
        command="täst \x00 “it”",
        planner="builtin",
        plan=new_run("b", "a").plan,
        inputs=(
            InputFile(
                name="t.csv",
                blob=BlobRef(sha256="ab" * 32, size=3),
                kind="table",
                columns=(Column(name="x", kind="number", missing=2, examples=("1", "2")),),
                rows=7,
            ),
        ),
        options=RunOptions(timeout_seconds=1.5, continue_on_failure=True, min_sandbox=Tier.NAMESPACES),
    )

    async def scenario() -> None:
        async with opened() as store:
            await store.runs.create(new, "me")
        async with opened() as store:
            run = await store.runs.get("full")
            assert (run.id, run.command, run.planner, run.plan) == (new.id, new.command, new.planner, new.plan)
            assert (run.inputs, run.options) == (new.inputs, new.options)
            assert (run.state, run.created_at, run.finished_at) == (RunState.PLANNED, clock.now(), None)
            assert [(one.id, one.state) for one in run.subtasks] == [
                ("b", SubtaskState.WAITING),
                ("a", SubtaskState.WAITING),
            ]

    asyncio.run(scenario())


def test_a_lease_passes_on_only_when_it_has_run_out(opened: Opened, new_run: NewRuns, advance: Advance) -> None:
    async def scenario() -> None:
        async with opened() as store:
            first = await store.runs.create(new_run(), "me", lease_seconds=10)
            advance(9)
            assert await store.runs.claim(first.run_id, "you") is None
            await store.runs.renew(first, lease_seconds=10)
            advance(9)
            assert await store.runs.claim(first.run_id, "you") is None
            advance(1)
            second = await store.runs.claim(first.run_id, "you")
            assert second is not None
            assert (second.owner, second.term) == ("you", first.term + 1)
            for write in (store.runs.renew(first), store.runs.commit(first, [STARTED])):
                with pytest.raises(LeaseLost):
                    await write
            await store.runs.release(first)  # no longer his to give back
            assert await store.runs.claim(first.run_id, "me") is None
            assert await store.runs.commit(second, [STARTED]) == 1

    asyncio.run(scenario())


def test_the_same_owner_coming_back_is_fenced_from_its_former_self(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            before = await store.runs.create(new_run(), "me")
            await store.runs.release(before)
            after = await store.runs.claim(before.run_id, "me")
            assert after is not None
            with pytest.raises(LeaseLost):
                await store.runs.commit(before, [STARTED])
            assert await store.runs.commit(after, [STARTED]) == 1

    asyncio.run(scenario())


def test_many_claim_and_one_gets_it(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as first, opened() as second:
            lease = await first.runs.create(new_run(), "me")
            await first.runs.release(lease)
            stores = [first, second] * 10
            claims = [store.runs.claim(lease.run_id, str(place)) for place, store in enumerate(stores)]
            got = [one for one in await asyncio.gather(*claims) if one]
            assert [one.term for one in got] == [2]

    asyncio.run(scenario())


def test_an_ended_run_has_no_owner_ever_again(opened: Opened, new_run: NewRuns, advance: Advance) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [CANCELLED])
            advance(1000)
            assert await store.runs.claim(lease.run_id, "you") is None
            with pytest.raises(LeaseLost):
                await store.runs.renew(lease)

    asyncio.run(scenario())


def test_a_cancel_is_asked_for_once_and_only_of_the_living(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            assert await store.runs.cancel_requested(lease.run_id) is None
            assert not (await store.runs.get(lease.run_id)).cancel_requested
            assert await store.runs.request_cancel(lease.run_id, "first")
            assert await store.runs.request_cancel(lease.run_id, "second")
            assert await store.runs.cancel_requested(lease.run_id) == "first"
            assert (await store.runs.get(lease.run_id)).cancel_requested
            done = await store.runs.create(new_run(), "me")
            await store.runs.commit(done, [CANCELLED])
            assert not await store.runs.request_cancel(done.run_id, "late")
            assert await store.runs.cancel_requested(done.run_id) is None

    asyncio.run(scenario())


def test_a_run_is_found_by_the_start_of_its_id(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            for run_id in ("abc1", "abc2", "abd", "ab%", "abc"):
                await store.runs.create(new_run(run_id=run_id), "me")
            assert await store.runs.find(" ABD") == "abd"
            assert await store.runs.find("ab%") == "ab%"
            assert await store.runs.find("abc") == "abc"
            with pytest.raises(UserError, match="'ab' could be ab%, abc, abc1, abc2, abd; give more"):
                await store.runs.find("ab")
            with pytest.raises(UserError, match="empty"):
                await store.runs.find(" ")
            with pytest.raises(NotFound):
                await store.runs.find("%")

    asyncio.run(scenario())


def test_only_subtasks_that_succeeded_count_as_done(opened: Opened, new_run: NewRuns) -> None:
    moves: dict[str, tuple[SubtaskState, ...]] = {}
    moves["a"] = (SubtaskState.PREPARING, SubtaskState.RUNNING, SubtaskState.CLOSING, SubtaskState.SUCCEEDED)
    moves["b"] = (SubtaskState.PREPARING, SubtaskState.FAILED)
    moves["c"], moves["d"] = (SubtaskState.SKIPPED,), (SubtaskState.CANCELLED,)

    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(*"abcde"), "me")
            for subtask, states in moves.items():
                for state in states:
                    await store.runs.commit(lease, [SubtaskChanged(subtask_id=subtask, state=state)])
            (listed,) = await store.runs.list()
            assert (listed.subtasks_done, listed.subtasks_total) == (1, 5)

    asyncio.run(scenario())


def test_the_newest_runs_come_first(opened: Opened, new_run: NewRuns, advance: Advance) -> None:
    async def scenario() -> None:
        async with opened() as store:
            leases = []
            for _ in range(5):
                leases.append(await store.runs.create(new_run("a", "b"), "me"))
                advance(1)
            skip = SubtaskChanged(subtask_id="a", state=SubtaskState.SKIPPED)
            await store.runs.commit(leases[1], [skip, RunChanged(state=RunState.CANCELLED, reason="enough")])
            await store.runs.commit(leases[3], [STARTED])
            ids = [lease.run_id for lease in reversed(leases)]
            assert [one.id for one in await store.runs.list()] == ids
            assert [one.id for one in await store.runs.list(limit=2)] == ids[:2]
            (ended,) = await store.runs.list(states=[RunState.CANCELLED])
            assert (ended.id, ended.reason, ended.state) == (ids[3], "enough", RunState.CANCELLED)
            assert (ended.subtasks_done, ended.subtasks_total) == (0, 2), "what was skipped is not done"
            assert ended.finished_at is not None
            assert await store.runs.list(states=[]) == []
            seam: Store = store
            assert await seam.statistics() == {
                "runs_planned": 3,
                "runs_running": 1,
                "runs_cancelled": 1,
                "blobs": 0,
                "blob_bytes": 0,
            }

    asyncio.run(scenario())


def test_events_are_read_page_by_page(opened: Opened, new_run: NewRuns, clock: Clock, advance: Advance) -> None:
    changes: list[Change] = [ShardsAdded(subtask_id="a", first=one, pieces=()) for one in range(7)]

    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, changes[:3])
            advance(5)
            await store.runs.commit(lease, changes[3:])
            first = await store.runs.events_after(lease.run_id, 0, limit=5)
            rest = await store.runs.events_after(lease.run_id, first[-1].seq)
            assert [one.seq for one in first + rest] == list(range(1, 8))
            assert [one.change for one in first + rest] == changes
            assert rest[-1].at == clock.now()
            assert (first[3].at - first[0].at).total_seconds() == 5

    asyncio.run(scenario())


def test_only_what_nobody_works_on_can_be_deleted(opened: Opened, new_run: NewRuns, advance: Advance) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease, other = await store.runs.create(new_run(), "me"), await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [STARTED])
            with pytest.raises(UserError, match="is running; cancel it first"):
                await store.runs.delete(lease.run_id)
            await store.runs.commit(lease, [CANCELLED])
            await store.runs.delete(lease.run_id)
            advance(1000)
            await store.runs.delete(other.run_id)
            assert await store.runs.list() == []
            assert await store.runs.events_after(lease.run_id, 0) == []

    asyncio.run(scenario())
