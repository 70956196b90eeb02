"""The loop over a real SQLite file and an engine that is told what comes of each attempt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from nadg.domain.assignment import Assignment, Items, Merge, Rows
from nadg.domain.blob import FileRef
from nadg.domain.changes import Change
from nadg.domain.clock import SystemClock
from nadg.domain.errors import LeaseLost
from nadg.domain.inputs import InputFile
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PythonWork, SkillWork, Subtask
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.skill import SkillSpec
from nadg.domain.states import AttemptState, RunState, SubtaskState
from nadg.engines.fake import Carrier, FakeEngine, Say, WorkerGone, create_fake_outcome
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.loop import RunLoop
from nadg.orchestrator.values import read_value
from nadg.store import SqlStore, open_store

CLOCK = SystemClock()
PYTHON = PythonWork(kind="python", code="result = 1")
SKILLS = {"rows.merged": SkillSpec(name="rows.merged", summary="", maps_over="rows", merges=True)}


class Seen:
    """Remembers what a watcher is told."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.said: list[str] = []

    def changed(self, run_id: str, change: Change) -> None:
        self.changes.append(change)

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None:
        self.said.append(f"{attempt_id} {stream} {text}")


class Bench:
    """One run on one store."""

    def __init__(self, folder: Path, store: SqlStore, carry: Carrier) -> None:
        self.blobs = BlobFolder(folder / "blobs")
        self.store, self.seen = store, Seen()
        self.engine = FakeEngine(carry, CLOCK)

    async def loop(self, plan: Plan, options: RunOptions | None = None, *files: tuple[str, bytes]) -> RunLoop:
        inputs = tuple(InputFile(name=name, blob=self.blobs.put(data), kind="table") for name, data in files)
        new = NewRun(
            id="run1", command="c", planner="file", plan=plan, inputs=inputs, options=options or RunOptions()
        )
        lease = await self.store.runs.create(new, "me")
        return RunLoop(
            new,
            lease,
            store=self.store.runs,
            engine=self.engine,
            blobs=self.blobs,
            clock=CLOCK,
            skills=SKILLS,
            watcher=self.seen,
        )

    async def record(self) -> RunRecord:
        return await self.store.runs.get("run1")


def on_bench(folder: Path, carry: Carrier, body: Callable[[Bench], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with open_store(folder / "nadg.db", CLOCK) as store:
            bench = Bench(folder, store, carry)
            async with bench.engine:
                await body(bench)

    asyncio.run(inside())


async def echo(assignment: Assignment, say: Say) -> Outcome:
    """Gives the items of the shard, the number of rows, or the number of merged parts."""
    match assignment.piece:
        case Items(values=values):
            return create_fake_outcome(assignment, CLOCK, result=values.inline or b"", per_item=True)
        case Rows(count=count):
            return create_fake_outcome(assignment, CLOCK, result=json.dumps(count).encode())
        case Merge(parts=parts):
            total = sum(json.loads(part.result.inline or b"0") for part in parts)
            return create_fake_outcome(assignment, CLOCK, result=json.dumps(total).encode())
        case _:
            say("stdout", "hello")
            return create_fake_outcome(assignment, CLOCK, result=b"1")


def test_a_run_of_all_kinds_of_shards(tmp_path: Path) -> None:
    plan = Plan(
        subtasks=(
            Subtask(id="one", work=PYTHON),
            Subtask(id="items", work=PYTHON, foreach=Foreach(items=[5, 6, 7], shard_size=2), needs=("one",)),
            Subtask(
                id="rows",
                work=SkillWork(kind="skill", skill="rows.merged"),
                foreach=Foreach(rows_of="t.csv", shard_size=2),
            ),
            Subtask(id="again", work=PYTHON, foreach=Foreach(results_of="items"), needs=("items",)),
            Subtask(id="end", work=PYTHON, needs=("again", "rows")),
        )
    )

    async def body(bench: Bench) -> None:
        loop = await bench.loop(plan, None, ("t.csv", b"a,b\n1,2\n3,4\n5,6\n"))
        await loop.run()
        run = await bench.record()
        assert run.state is RunState.SUCCEEDED
        results = {one.id: one.result and json.loads(read_value(one.result, bench.blobs)) for one in run.subtasks}
        assert results == {"one": 1, "items": [5, 6, 7], "rows": 3, "again": [5, 6, 7], "end": 1}
        assert [len(one.shards) for one in run.subtasks] == [1, 2, 3, 3, 1]
        end = next(one for one in bench.engine.submitted if one.attempt_id == "run1/end/0/1")
        assert {name: value.inline for name, value in end.needs.items()} == {"again": b"[5,6,7]", "rows": b"3"}
        assert "run1/one/0/1 stdout hello" in bench.seen.said
        stored = await bench.store.runs.events_after("run1", 0)
        assert [event.change for event in stored] == bench.seen.changes

    on_bench(tmp_path, echo, body)


def test_a_lost_attempt_is_made_again_and_both_are_on_record(tmp_path: Path) -> None:
    tries: list[str] = []

    async def unlucky(assignment: Assignment, say: Say) -> Outcome:
        tries.append(assignment.attempt_id)
        if len(tries) == 1:
            raise WorkerGone("killed")
        return await echo(assignment, say)

    async def body(bench: Bench) -> None:
        await (await bench.loop(Plan(subtasks=(Subtask(id="a", work=PYTHON),)))).run()
        run = await bench.record()
        assert run.state is RunState.SUCCEEDED
        states = [attempt.state for attempt in run.subtasks[0].shards[0].attempts]
        assert states == [AttemptState.LOST, AttemptState.SUCCEEDED]

    on_bench(tmp_path, unlucky, body)


async def stuck(assignment: Assignment, say: Say) -> Outcome:
    say("stdout", "stuck")
    await asyncio.Event().wait()
    raise AssertionError("never")


def test_a_cancelled_run_ends_and_keeps_what_is_done(tmp_path: Path) -> None:
    plan = Plan(subtasks=(Subtask(id="quick", work=PYTHON), Subtask(id="slow", work=PYTHON, needs=("quick",))))

    async def one_sticks(assignment: Assignment, say: Say) -> Outcome:
        return await (stuck if "/slow/" in assignment.attempt_id else echo)(assignment, say)

    async def body(bench: Bench) -> None:
        loop = await bench.loop(plan)
        bench.seen.output = lambda *_: loop.cancel("enough") if len(bench.engine.submitted) == 2 else None  # type: ignore[method-assign]  # the moment to cancel
        await loop.run()
        run = await bench.record()
        assert (run.state, run.reason) == (RunState.CANCELLED, "enough")
        assert [one.state for one in run.subtasks] == [SubtaskState.SUCCEEDED, SubtaskState.CANCELLED]

    on_bench(tmp_path, one_sticks, body)


@pytest.mark.parametrize("bad", ["2", "none"])
def test_one_failing_item_fails_its_subtask_and_ends_the_other_items(tmp_path: Path, bad: str) -> None:
    items = Foreach(items=[1, 2, 3], shard_size=1)
    each = Subtask(id="each", work=PYTHON, foreach=items, on_failure="continue")
    plan = Plan(
        subtasks=(each, Subtask(id="after", work=PYTHON, needs=("each",)), Subtask(id="beside", work=PYTHON)),
        answer="beside",
    )
    first_done = asyncio.Event()

    async def one_fails(assignment: Assignment, say: Say) -> Outcome:
        match assignment.piece:
            case Items(values=values) if bad == "2" and values.inline == b"[2]":
                await first_done.wait()
                return create_fake_outcome(assignment, CLOCK, kind="failed", reason="item 1: ValueError: no")
            case Items(values=values) if bad == "2" and values.inline == b"[3]":
                return await stuck(assignment, say)
        first_done.set()
        return await echo(assignment, say)

    async def body(bench: Bench) -> None:
        await (await bench.loop(plan)).run()
        run = await bench.record()
        each, after, beside = run.subtasks
        assert (run.state, beside.state) == (RunState.SUCCEEDED, SubtaskState.SUCCEEDED)
        if bad == "none":
            assert (each.result is not None, after.state) == (True, SubtaskState.SUCCEEDED)
            return
        assert (each.state, each.reason, each.result) == (SubtaskState.FAILED, "item 1: ValueError: no", None)
        assert [str(shard.state) for shard in each.shards] == ["succeeded", "failed", "cancelled"]
        assert after.state is SubtaskState.SKIPPED

    on_bench(tmp_path, one_fails, body)


def test_the_deadline_fails_the_run(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        plan = Plan(subtasks=(Subtask(id="a", work=PYTHON),))
        await (await bench.loop(plan, RunOptions(timeout_seconds=0.05))).run()
        run = await bench.record()
        assert run.state is RunState.FAILED
        assert run.reason == "the run's time limit of 0.05 s was reached"

    on_bench(tmp_path, stuck, body)


def test_a_table_that_is_none_fails_its_subtask_in_one_sentence(tmp_path: Path) -> None:
    plan = Plan(subtasks=(Subtask(id="a", work=PYTHON, foreach=Foreach(rows_of="t.csv")),))

    async def body(bench: Bench) -> None:
        await (await bench.loop(plan, None, ("t.csv", b"a\n\xff\n"))).run()
        run = await bench.record()
        assert run.state is RunState.FAILED
        assert "t.csv: byte 0xff at offset 2 is not UTF-8" in run.subtasks[0].reason

    on_bench(tmp_path, echo, body)


def test_an_artifact_that_was_not_made_fails_the_subtask_that_wants_it(tmp_path: Path) -> None:
    plan = Plan(
        subtasks=(Subtask(id="a", work=PYTHON), Subtask(id="b", work=PYTHON, needs=("a",), inputs=("a/x.csv",)))
    )

    async def body(bench: Bench) -> None:
        await (await bench.loop(plan)).run()
        run = await bench.record()
        assert run.state is RunState.FAILED
        assert run.subtasks[1].reason == "a/x.csv was not made: a gave no files"

    on_bench(tmp_path, echo, body)


def test_artifacts_can_be_inputs(tmp_path: Path) -> None:
    plan = Plan(
        subtasks=(
            Subtask(id="a", work=PYTHON),
            Subtask(id="b", work=PYTHON, needs=("a",), inputs=("a/x.csv",), foreach=Foreach(rows_of="a/x.csv")),
        )
    )

    async def body(bench: Bench) -> None:
        made = FileRef(name="x.csv", blob=bench.blobs.put(b"h\n1\n2\n"))

        async def carry(assignment: Assignment, say: Say) -> Outcome:
            outcome = await echo(assignment, say)
            return msgspec.structs.replace(outcome, artifacts=(made,))

        bench.engine.workers.carry = carry
        await (await bench.loop(plan)).run()
        run = await bench.record()
        assert run.state is RunState.SUCCEEDED, run.reason
        assert bench.engine.submitted[-1].inputs == (FileRef(name="a/x.csv", blob=made.blob),)

    on_bench(tmp_path, echo, body)


def test_a_deposed_owner_stops(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        loop = await bench.loop(Plan(subtasks=(Subtask(id="a", work=PYTHON),)))
        lease = loop._lease
        await bench.store.runs.release(lease)
        assert await bench.store.runs.claim("run1", "another") is not None
        with pytest.raises(LeaseLost):
            await loop.run()
        assert bench.engine.submitted == []

    on_bench(tmp_path, echo, body)
