"""The registry of workers, the index of blobs, and the history of tasks."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from nadg.domain.assignment import Whole
from nadg.domain.blob import BlobRef
from nadg.domain.changes import AttemptAdded, AttemptChanged, ShardsAdded
from nadg.domain.clock import Clock
from nadg.domain.errors import NotFound, UserError
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.run import NewRun
from nadg.domain.states import AttemptState
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo, WorkerNote, WorkerStatus
from nadg.store import SqlStore
from tests.store.conftest import Query

Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]
Advance = Callable[[float], None]


def _info(name: str) -> WorkerInfo:
    return WorkerInfo(name=name, slots=4, tier=Tier.LANDLOCK, labels=("gpu", "nlp"))


def test_a_worker_not_there_is_not_found(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            for asked in (
                store.workers.get("no"),
                store.workers.get(""),
                store.workers.remove("no"),
                store.workers.set_status("no", WorkerStatus.BUSY),
            ):
                with pytest.raises(NotFound, match="no worker"):
                    await asked
            with pytest.raises(UserError, match="URL is empty"):
                await store.workers.add(" ")

    asyncio.run(scenario())


def test_one_url_is_one_worker(opened: Opened, advance: Advance) -> None:
    async def scenario() -> None:
        async with opened() as store:
            first = await store.workers.add("http://a:1", name="first", local=True)
            advance(1)
            assert await store.workers.add("http://a:1", name="again") == first
            second = await store.workers.add("http://b:1")
            assert [one.id for one in await store.workers.list()] == [first.id, second.id]
            by_hand = await store.workers.add("http://c:1", name="spare")
            await store.workers.seen("http://c:1", _info("alpha"), WorkerStatus.ACTIVE)
            assert (await store.workers.get("spare")).vm_url == "http://c:1", "whatever it calls itself"
            with pytest.raises(UserError, match="another worker has the id 'spare'"):
                await store.workers.add("http://d:1", name="spare")
            await store.workers.remove(by_hand.id)
            assert (first.status, first.name, first.local) == (WorkerStatus.OFFLINE, "first", True)
            await store.workers.remove(first.id)
            assert await store.workers.list() == [second]

    asyncio.run(scenario())


def test_a_worker_that_speaks_is_known_by_what_it_says(opened: Opened, clock: Clock, advance: Advance) -> None:
    async def scenario() -> None:
        async with opened() as store:
            added = await store.workers.add("http://a:1", local=True)
            await store.workers.set_status(added.id, WorkerStatus.OFFLINE, "no answer")
            assert (await store.workers.get("http://a:1")).reason == "no answer"
            advance(3)
            seen = await store.workers.seen("http://a:1", _info("alpha"), WorkerStatus.ACTIVE)
            assert seen == await store.workers.get(added.id) == await store.workers.get("alpha")
            assert (seen.id, seen.local, seen.created_at) == (added.id, True, added.created_at)
            assert (seen.name, seen.slots, seen.tier, seen.labels) == ("alpha", 4, "landlock", ("gpu", "nlp"))
            assert (seen.status, seen.reason, seen.last_ping) == (WorkerStatus.ACTIVE, "", clock.now())
            unknown = await store.workers.seen("http://b:1", _info("alpha"), WorkerStatus.BUSY)
            assert unknown.status is WorkerStatus.BUSY
            with pytest.raises(UserError, match="2 workers are named 'alpha'"):
                await store.workers.get("alpha")
            assert (await store.statistics())["workers_busy"] == 1

    asyncio.run(scenario())


def test_a_note_counts_only_while_the_row_says_what_its_reader_read(opened: Opened, advance: Advance) -> None:
    async def scenario() -> None:
        async with opened() as store:
            node = await store.workers.add("http://a:1")
            moment = await store.workers.note(
                [WorkerNote(was=node, status=WorkerStatus.ACTIVE, info=_info("alpha"))]
            )
            active = await store.workers.get(node.id)
            assert (active.status, active.name, active.last_ping) == (WorkerStatus.ACTIVE, "alpha", moment)
            advance(2)
            await store.workers.note([WorkerNote(was=active, status=WorkerStatus.ACTIVE, info=_info("alpha"))])
            await store.workers.note([WorkerNote(was=active, status=WorkerStatus.OFFLINE, reason="cut")])
            seen = await store.workers.get(node.id)
            assert seen.status is WorkerStatus.ACTIVE, "another master heard of it since"
            await store.workers.note([WorkerNote(was=seen, status=WorkerStatus.OFFLINE, reason="cut")])
            offline = await store.workers.get(node.id)
            assert (offline.status, offline.reason) == (WorkerStatus.OFFLINE, "cut")
            await store.workers.set_status(node.id, WorkerStatus.DRAINING, "set by hand")
            await store.workers.note([WorkerNote(was=offline, status=WorkerStatus.BUSY, info=_info("alpha"))])
            drained = await store.workers.get(node.id)
            assert (drained.status, drained.by_hand) == (WorkerStatus.DRAINING, True)
            await store.workers.remove(node.id)
            await store.workers.note([WorkerNote(was=drained, status=WorkerStatus.BUSY, info=_info("alpha"))])
            assert await store.workers.list() == [], "a note brings nobody back"

    asyncio.run(scenario())


def test_a_note_of_a_worker_never_seen(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as store:
            node = await store.workers.add("http://a:1")
            await store.workers.note([WorkerNote(was=node, status=WorkerStatus.OFFLINE, reason="no answer")])
            assert (await store.workers.get(node.id)).reason == "no answer"

    asyncio.run(scenario())


def test_tasks_are_counted_where_they_ended_and_stand_in_the_history(
    opened: Opened, new_run: Callable[..., NewRun], query: Query, clock: Clock, advance: Advance
) -> None:
    receipt = Receipt(
        worker="alpha",
        sandbox_tier=Tier.LANDLOCK,
        code_sha256="",
        input_sha256s={},
        started_at=clock.now(),
        finished_at=clock.now(),
    )
    ended = {
        1: AttemptChanged(attempt_id="1", state=AttemptState.LOST, worker="alpha", reason="gone"),
        2: AttemptChanged(
            attempt_id="2", state=AttemptState.SUCCEEDED, outcome=Outcome(kind="succeeded", receipt=receipt)
        ),
        3: AttemptChanged(attempt_id="3", state=AttemptState.CANCELLED),
    }

    async def scenario() -> None:
        async with opened() as store:
            await store.workers.seen("http://old:1", _info("alpha"), WorkerStatus.ACTIVE)
            advance(1)
            await store.workers.seen("http://a:1", _info("alpha"), WorkerStatus.ACTIVE)
            lease = await store.runs.create(new_run(), "me")
            await store.runs.commit(lease, [ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))])
            for number, change in ended.items():
                new = AttemptAdded(attempt_id=str(number), subtask_id="a", index=0, number=number)
                await store.runs.commit(lease, [new, change])
            totals = {one.vm_url: one.total_tasks for one in await store.workers.list()}
            assert totals == {"http://old:1": 0, "http://a:1": 2}
            (shard,) = (await store.runs.get(lease.run_id)).subtasks[0].shards
            assert [(one.worker, one.reason) for one in shard.attempts] == [
                ("alpha", "gone"),
                ("alpha", ""),
                ("", ""),
            ]

    asyncio.run(scenario())
    history = "SELECT worker, description, status, created_at < completed_at FROM task_history ORDER BY id"
    assert query(history) == [
        ("alpha", "Part a", "lost", 0),
        ("alpha", "Part a", "succeeded", 0),
        ("", "Part a", "cancelled", 0),
    ]


def test_blobs_are_touched_and_the_unused_are_listed(opened: Opened, clock: Clock, advance: Advance) -> None:
    refs = [BlobRef(sha256=f"{one:064x}", size=one) for one in range(5)]

    async def scenario() -> None:
        async with opened() as store:
            await store.blobs.record([*refs, refs[0]])
            await store.blobs.record([])
            advance(60)
            noon = clock.now()
            await store.blobs.touch([refs[1].sha256, "unknown"])
            await store.blobs.record([refs[2]])
            unused = await store.blobs.unused_since(noon)
            assert [one.blob for one in unused] == [refs[0], refs[3], refs[4]]
            assert len(await store.blobs.unused_since(noon, limit=2)) == 2
            kept = await store.blobs.unused_since(noon + datetime.timedelta(seconds=1))
            assert {one.blob.size: (one.last_used_at - one.created_at).seconds for one in kept} == {
                0: 0,
                1: 60,
                2: 60,
                3: 0,
                4: 0,
            }
            await store.blobs.forget([one.blob.sha256 for one in unused])
            statistics = await store.statistics()
            assert (statistics["blobs"], statistics["blob_bytes"]) == (2, 3)

    asyncio.run(scenario())
