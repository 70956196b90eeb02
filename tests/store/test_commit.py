"""Commits: fenced, whole or not at all, an attempt's end accepted once, one bad commit harming no other."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from nadg.domain.assignment import Items, Whole
from nadg.domain.blob import Value
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
)
from nadg.domain.errors import IllegalTransition, LeaseLost
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.store import SqlStore
from nadg.store.rows import writes_of

Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]
NewRuns = Callable[..., NewRun]

STARTED: Sequence[Change] = (
    RunChanged(state=RunState.RUNNING),
    SubtaskChanged(subtask_id="a", state=SubtaskState.PREPARING),
    ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),)),
    SubtaskChanged(subtask_id="a", state=SubtaskState.RUNNING),
)


def _try(lease: Lease, number: int = 1) -> list[Change]:
    """A shard's attempt begins."""
    name = f"{lease.run_id}/a/0/{number}"
    return [
        AttemptAdded(attempt_id=name, subtask_id="a", index=0, number=number),
        ShardChanged(subtask_id="a", index=0, state=ShardState.RUNNING),
        AttemptChanged(attempt_id=name, state=AttemptState.RUNNING, worker="w"),
    ]


def _end(lease: Lease, state: AttemptState = AttemptState.SUCCEEDED) -> AttemptChanged:
    return AttemptChanged(attempt_id=f"{lease.run_id}/a/0/1", state=state, worker="w")


async def _refused(store: SqlStore, lease: Lease, changes: Sequence[Change], kind: type[Exception]) -> str:
    """The message of a commit that must fail and leave nothing."""
    before = await store.runs.get(lease.run_id), await store.runs.events_after(lease.run_id, 0)
    with pytest.raises(kind) as caught:
        await store.runs.commit(lease, changes)
    assert (await store.runs.get(lease.run_id), await store.runs.events_after(lease.run_id, 0)) == before
    return str(caught.value)


async def _in_one_group(
    store: SqlStore, other: NewRun, *commits: tuple[Lease, Sequence[Change]]
) -> Sequence[object]:
    """The answers to commits that waited together while another was written."""
    lease = await store.runs.create(other, "other")
    asked = [store.runs.commit(lease, []), *(store.runs.commit(*commit) for commit in commits)]
    return (await asyncio.gather(*asked, return_exceptions=True))[1:]


def test_an_attempt_ends_once_and_the_second_end_leaves_nothing(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [*STARTED, *_try(lease), _end(lease)])
            second: list[Change] = [
                ShardChanged(subtask_id="a", index=0, state=ShardState.FAILED),
                _end(lease, AttemptState.LOST),
            ]
            message = await _refused(store, lease, second, IllegalTransition)
            assert message == f"run {lease.run_id} {lease.run_id}/a/0/1: succeeded -> lost is not a legal move"

    asyncio.run(scenario())


def test_an_owner_and_its_former_self_in_one_group(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            before = await store.runs.create(new_run(), "me")
            await store.runs.release(before)
            after = await store.runs.claim(before.run_id, "me")
            assert after is not None
            ask = [RunChanged(state=RunState.RUNNING)]
            for first, second in ((before, after), (after, before)):
                answers = await _in_one_group(store, new_run(), (first, ask[:0]), (second, ask[:0]))
                kinds = {first: type(answers[0]), second: type(answers[1])}
                assert kinds == {before: LeaseLost, after: int}
            assert [type(one) for one in await _in_one_group(store, new_run(), (before, ask), (after, ask))] == [
                LeaseLost,
                int,
            ]

    asyncio.run(scenario())


def test_of_two_ends_at_the_same_time_one_is_accepted(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            last = await store.runs.commit(lease, [*STARTED, *_try(lease)])
            ends = [
                store.runs.commit(lease, [_end(lease, one)]) for one in (AttemptState.FAILED, AttemptState.LOST)
            ]
            first, second = await asyncio.gather(*ends, return_exceptions=True)
            assert first == last + 1
            assert isinstance(second, IllegalTransition)
            (attempt,) = (await store.runs.get(lease.run_id)).subtasks[0].shards[0].attempts
            assert attempt.state is AttemptState.FAILED

    asyncio.run(scenario())


def test_commits_that_are_refused_do_not_harm_those_beside_them(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            leases = [await store.runs.create(new_run(), "me") for _ in range(30)]
            asked = [
                store.runs.commit(lease, [SubtaskChanged(subtask_id="a", state=SubtaskState.CLOSING)])
                if place % 3 == 0
                else store.runs.commit(Lease(run_id=lease.run_id, owner="me", term=7), STARTED)
                if place % 3 == 1
                else store.runs.commit(lease, STARTED)
                for place, lease in enumerate(leases)
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            wanted: list[type] = [IllegalTransition, LeaseLost, int]
            assert [type(one) for one in answers] == wanted * 10
            for lease, answer in zip(leases, answers, strict=True):
                seqs = [event.seq for event in await store.runs.events_after(lease.run_id, 0)]
                assert seqs == ([1, 2, 3, 4] if isinstance(answer, int) else [])

    asyncio.run(scenario())


def test_another_runs_attempt_is_out_of_reach(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            mine = await store.runs.create(new_run(), "me")
            other = await store.runs.create(new_run(), "other")
            await store.runs.commit(other, [*STARTED, *_try(other)])
            assert "absent" in await _refused(store, mine, [_end(other)], IllegalTransition)

    asyncio.run(scenario())


def test_a_run_that_ended_takes_no_more_not_even_within_one_group(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, STARTED)
            end = [RunChanged(state=RunState.FAILED, reason="no luck")]
            skip = [SubtaskChanged(subtask_id="a", state=SubtaskState.CANCELLED)]
            first, second = await _in_one_group(store, new_run(), (lease, end), (lease, skip))
            assert first == 5
            assert isinstance(second, LeaseLost)
            assert "ended" in await _refused(store, lease, skip, LeaseLost)
            run = await store.runs.get(lease.run_id)
            assert (run.state, run.reason, run.finished_at is not None) == (RunState.FAILED, "no luck", True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (RunChanged(state=RunState.PLANNED), IllegalTransition),
        (RunChanged(state=RunState.SUCCEEDED), IllegalTransition),
        (SubtaskChanged(subtask_id="b", state=SubtaskState.PREPARING), IllegalTransition),
        (SubtaskChanged(subtask_id="a", state=SubtaskState.PREPARING, reason="\udc80"), ValueError),
        (ShardsAdded(subtask_id="b", first=0, pieces=(Whole(),)), IllegalTransition),
        (ShardsAdded(subtask_id="a", first=1 << 70, pieces=(Whole(),)), OverflowError),
        (ShardChanged(subtask_id="a", index=0, state=ShardState.RUNNING), IllegalTransition),
        (AttemptAdded(attempt_id="x", subtask_id="a", index=0, number=1), IllegalTransition),
        (AttemptChanged(attempt_id="x", state=AttemptState.LOST), IllegalTransition),
        (AttemptChanged(attempt_id="x", state=AttemptState.RUNNING, at=datetime.datetime(2026, 1, 1)), ValueError),
    ],
)
def test_what_cannot_be_stored_fails_alone(
    opened: Opened, new_run: NewRuns, change: Change, kind: type[Exception]
) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease, other = await store.runs.create(new_run(), "me"), await store.runs.create(new_run(), "me")
            answers = await asyncio.gather(
                store.runs.commit(lease, [change]), store.runs.commit(other, STARTED), return_exceptions=True
            )
            assert isinstance(answers[0], kind)
            assert answers[1] == 4
            await _refused(store, lease, [change], kind)

    asyncio.run(scenario())


def test_shards_and_attempts_are_added_once(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [*STARTED, *_try(lease)])
            await _refused(store, lease, [STARTED[2]], IllegalTransition)
            await _refused(store, lease, [_try(lease)[0]], IllegalTransition)

    asyncio.run(scenario())


def test_an_empty_commit_only_asks_whether_the_lease_holds(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            assert await store.runs.commit(lease, []) == 0
            assert await store.runs.commit(lease, STARTED) == 4
            assert await store.runs.commit(lease, []) == 4
            with pytest.raises(LeaseLost, match="held by me in term 1, not by you in term 1"):
                await store.runs.commit(Lease(run_id=lease.run_id, owner="you", term=1), [])
            with pytest.raises(LeaseLost, match="gone"):
                await store.runs.commit(Lease(run_id="no", owner="you", term=1), [])

    asyncio.run(scenario())


def test_a_caller_who_goes_away_harms_nobody(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            leases = [await store.runs.create(new_run(), "me") for _ in range(20)]
            tasks = [asyncio.create_task(store.runs.commit(lease, STARTED)) for lease in leases]
            await asyncio.wait(tasks[:1])
            for task in tasks[1::2]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(one == 4 for one in answers[::2])
            for lease in leases:  # written or not, but never in part
                assert len(await store.runs.events_after(lease.run_id, 0)) in (0, 4)

    asyncio.run(scenario())


def test_what_was_handed_over_is_written_before_the_store_closes(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            leases = [await store.runs.create(new_run(), "me") for _ in range(50)]
            tasks = [asyncio.create_task(store.runs.commit(lease, STARTED)) for lease in leases]
            await asyncio.wait(tasks[:1], return_when=asyncio.FIRST_COMPLETED)
        assert await asyncio.gather(*tasks) == [4] * 50
        async with opened() as store:
            for lease in leases:
                assert len(await store.runs.events_after(lease.run_id, 0)) == 4

    asyncio.run(scenario())


def test_ten_thousand_shards_in_one_change(opened: Opened, new_run: NewRuns) -> None:
    pieces = tuple(Items(first=one, count=1, values=Value(inline=b"[%d]" % one)) for one in range(10_000))

    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [ShardsAdded(subtask_id="a", first=0, pieces=pieces)])
            run = await store.runs.get(lease.run_id)
            assert [shard.piece for shard in run.subtasks[0].shards] == list(pieces)
            (event,) = await store.runs.events_after(lease.run_id, 0)
            assert event.change == ShardsAdded(subtask_id="a", first=0, pieces=pieces)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "changes",
    [
        [
            ShardChanged(subtask_id="b", index=0, state=ShardState.RUNNING),
            ShardsAdded(subtask_id="b", first=0, pieces=(Whole(),)),
        ],
        [
            AttemptAdded(attempt_id="r/b/0/1", subtask_id="b", index=0, number=1),
            ShardsAdded(subtask_id="b", first=0, pieces=(Whole(),)),
        ],
        [
            AttemptChanged(attempt_id="r/a/0/1", state=AttemptState.RUNNING, worker="w"),
            AttemptAdded(attempt_id="r/a/0/1", subtask_id="a", index=0, number=1),
        ],
    ],
)
def test_what_is_changed_before_it_is_added_is_refused(changes: list[Change]) -> None:
    lease = Lease(run_id="r", owner="me", term=1)
    with pytest.raises(IllegalTransition, match="before it is added"):
        writes_of(lease, changes, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
