"""What a resumed or forked run begins with, on a real SQLite file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from nadg.domain.assignment import Assignment, Items, Merge
from nadg.domain.blob import Value
from nadg.domain.clock import SystemClock
from nadg.domain.errors import UserError
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PythonWork, SkillWork, Subtask
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.skill import SkillSpec
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.engines.fake import FakeEngine, Say, create_fake_outcome
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.derive import Kept, first_shards, forked, resumed, whole_plan
from nadg.orchestrator.growing import DROPPED
from nadg.orchestrator.loop import RunLoop
from nadg.store import SqlStore, open_store

CLOCK = SystemClock()
SKILLS = {"sum.items": SkillSpec(name="sum.items", summary="", merges=True)}


class Quiet:
    def changed(self, run_id: str, change: object) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class Bench:
    """Runs on one store, carried out by a function."""

    def __init__(self, folder: Path, store: SqlStore) -> None:
        self.blobs, self.store = BlobFolder(folder / "blobs"), store

    async def run(self, plan: Plan, fails: Callable[[Assignment], bool], run_id: str = "old") -> RunRecord:
        async def carry(assignment: Assignment, say: Say) -> Outcome:
            if fails(assignment):
                return create_fake_outcome(assignment, CLOCK, kind="failed", reason="ValueError: no")
            return echo(assignment)

        new = NewRun(id=run_id, command="c", planner="file", plan=plan, options=RunOptions(hedge=False))
        lease = await self.store.runs.create(new, "me")
        async with FakeEngine(carry, CLOCK, slots=1) as engine:
            loop = RunLoop(
                new,
                lease,
                store=self.store.runs,
                engine=engine,
                blobs=self.blobs,
                clock=CLOCK,
                skills=SKILLS,
                watcher=Quiet(),
            )
            await loop.run()
        return await self.store.runs.get(run_id)

    async def first_shards(self, run_id: str) -> dict[str, int]:
        return first_shards([event.change for event in await self.store.runs.plan_events(run_id)])

    async def written(self, parent: RunRecord, plan: Plan, kept: Kept) -> RunRecord:
        new = NewRun(id="new", command="c", planner="file", plan=plan, parent=parent.id)
        lease = await self.store.runs.create(new, "me")
        await self.store.runs.commit(lease, kept.changes)
        return await self.store.runs.get("new")


def echo(assignment: Assignment) -> Outcome:
    match assignment.piece:
        case Items(values=values):
            return create_fake_outcome(assignment, CLOCK, result=values.inline or b"", per_item=True)
        case Merge(parts=parts):
            total = sum(sum(json.loads(part.result.inline or b"[]")) for part in parts)
            return create_fake_outcome(assignment, CLOCK, result=json.dumps(total).encode())
        case _:
            return create_fake_outcome(assignment, CLOCK, result=b"1")


def python(subtask_id: str, *needs: str, **more: object) -> Subtask:
    work = {"kind": "python", "code": f"result = '{subtask_id}'"}
    return Subtask.model_validate({"id": subtask_id, "work": work, "needs": needs, **more})


EACH = python("each", "first", foreach={"items": [1, 2, 3, 4], "shard_size": 1})
PLAN = Plan(subtasks=(python("first"), EACH, python("beside"), python("last", "each", "beside")))


def on_bench(folder: Path, body: Callable[[Bench], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with open_store(folder / "nadg.db", CLOCK) as store:
            await body(Bench(folder, store))

    asyncio.run(inside())


def states(record: RunRecord) -> dict[str, SubtaskState]:
    return {one.id: one.state for one in record.subtasks}


def test_a_resumed_run_keeps_the_shards_that_succeeded(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run(PLAN, lambda one: one.attempt_id.startswith("old/each/2"))
        assert old.state is RunState.FAILED
        kept = resumed(old, await bench.first_shards("old"), "new", bench.blobs.has)
        new = await bench.written(old, old.plan, kept)
        assert new.parent == "old"
        assert states(new)["first"] is SubtaskState.SUCCEEDED
        each = new.subtasks[1]
        assert each.state is SubtaskState.RUNNING
        assert [shard.state for shard in each.shards][:3] == [
            ShardState.SUCCEEDED,
            ShardState.SUCCEEDED,
            ShardState.QUEUED,
        ]
        outcomes = [attempt.outcome for shard in each.shards for attempt in shard.attempts]
        assert [one and one.receipt.reused_from for one in outcomes][:2] == ["old/each/0/1", "old/each/1/1"]
        assert {one.state for shard in each.shards for one in shard.attempts} == {AttemptState.SUCCEEDED}
        assert "first" in kept.subtasks
        assert kept.shards >= 3

    on_bench(tmp_path, body)


def test_a_fork_keeps_what_does_not_rest_on_its_subtask(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run(PLAN, lambda _: False)
        edited = PythonWork(kind="python", code="result = 7")
        subtasks = [one.model_copy(update={"work": edited}) if one.id == "each" else one for one in PLAN.subtasks]
        plan = Plan(subtasks=tuple(subtasks))
        kept = forked(old, plan, "each", {}, "new", bench.blobs.has)
        assert kept.subtasks == ("first", "beside")
        new = await bench.written(old, plan, kept)
        waits = SubtaskState.WAITING
        assert states(new) == {"first": "succeeded", "each": waits, "beside": "succeeded", "last": waits}
        assert new.subtasks[0].result == old.subtasks[0].result
        with pytest.raises(UserError, match="--from: the plan has no subtask 'nope'; it has first, each"):
            forked(old, plan, "nope", {}, "new", bench.blobs.has)

    on_bench(tmp_path, body)


def test_a_fork_does_again_what_was_edited_elsewhere_too(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run(PLAN, lambda _: False)
        plan = Plan(subtasks=(python("first", title="anew"), *PLAN.subtasks[1:]))
        assert forked(old, plan, "last", {}, "new", bench.blobs.has).subtasks == ("beside",)

    on_bench(tmp_path, body)


def test_what_lost_its_bytes_is_done_again_with_all_that_rests_on_it(tmp_path: Path) -> None:
    big = Plan(subtasks=(python("big"), python("after", "big"), python("apart", "after")))

    async def body(bench: Bench) -> None:
        old = await bench.run(big, lambda one: "/apart/" in one.attempt_id)
        first = old.subtasks[0]
        assert first.result is not None
        blob = bench.blobs.put(b"[" + b"1," * 100_000 + b"1]")
        result = replace(first.result, inline=None, blob=blob)
        lost = replace(old, subtasks=(replace(first, result=result), *old.subtasks[1:]))
        assert set(resumed(lost, {}, "new", bench.blobs.has).subtasks) >= {"big"}
        assert "big" not in resumed(lost, {}, "new", lambda _: False).subtasks
        assert "after" not in resumed(lost, {}, "new", lambda _: False).subtasks

    on_bench(tmp_path, body)


def test_a_merge_that_failed_is_done_again_with_its_parts(tmp_path: Path) -> None:
    work = SkillWork(kind="skill", skill="sum.items")
    plan = Plan(subtasks=(Subtask(id="sum", work=work, foreach=Foreach(items=[1, 2, 3], shard_size=1)),))

    async def body(bench: Bench) -> None:
        old = await bench.run(plan, lambda one: isinstance(one.piece, Merge))
        new = await bench.written(old, plan, resumed(old, {}, "new", bench.blobs.has))
        shards = new.subtasks[0].shards
        assert [shard.state for shard in shards] == ["succeeded"] * 3 + ["queued"]
        assert isinstance(shards[-1].piece, Merge)

    on_bench(tmp_path, body)


def test_a_run_that_goes_on_or_succeeded_is_not_resumed(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run(Plan(subtasks=(python("only"),)), lambda _: False)
        with pytest.raises(UserError, match="nothing is left to do"):
            resumed(old, {}, "new", bench.blobs.has)
        await bench.store.runs.create(NewRun(id="young", command="c", planner="file", plan=PLAN), "me")
        with pytest.raises(UserError, match="has not ended; watch it"):
            resumed(await bench.store.runs.get("young"), {}, "new", bench.blobs.has)

    on_bench(tmp_path, body)


def test_half_done_work_is_cut_anew_where_what_it_was_cut_into_is_gone(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run(PLAN, lambda one: one.attempt_id.startswith("old/each/2"))
        blob = bench.blobs.put(b"[3]")
        each = old.subtasks[1]
        gone = replace(each.shards[2], piece=Items(first=2, count=1, values=Value(blob=blob)))
        lost = replace(
            old, subtasks=(old.subtasks[0], replace(each, shards=(*each.shards[:2], gone)), *old.subtasks[2:])
        )
        assert resumed(lost, {}, "new", bench.blobs.has).shards > resumed(lost, {}, "new", lambda _: False).shards
        new = await bench.written(old, old.plan, resumed(lost, {}, "new", lambda _: False))
        assert states(new)["each"] is SubtaskState.WAITING

    on_bench(tmp_path, body)


def test_the_plan_of_a_run_is_without_what_it_did_without_in_the_end(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run(PLAN, lambda _: False)
        beside = replace(old.subtasks[2], reason=DROPPED)
        without = replace(old, subtasks=(*old.subtasks[:2], beside, old.subtasks[3]))
        assert [one.id for one in whole_plan(without).subtasks] == ["first", "each", "last"]
        assert whole_plan(old) == PLAN

    on_bench(tmp_path, body)
