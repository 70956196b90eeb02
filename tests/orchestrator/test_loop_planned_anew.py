"""Commands that a newer plan overtakes: decided in the very group of events that outdates them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from nadg.domain import events as ev
from nadg.domain.assignment import Assignment, Code
from nadg.domain.blob import FileRef
from nadg.domain.changes import Change
from nadg.domain.clock import SystemClock
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask
from nadg.domain.run import NewRun, RunRecord
from nadg.domain.states import RunState, ShardState
from nadg.engines.fake import Carrier, FakeEngine, Say, WorkerGone, create_fake_outcome
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.loop import RunLoop
from nadg.store import open_store

CLOCK = SystemClock()


def python(name: str, code: str, *needs: str, inputs: Sequence[str] = (), items: Sequence[str] = ()) -> Subtask:
    foreach = Foreach(items=list(items), shard_size=1) if items else None
    work = PythonWork(kind="python", code=code)
    return Subtask(id=name, work=work, needs=needs, inputs=tuple(inputs), foreach=foreach)


class Unwatched:
    """A watcher that looks away."""

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


def carried_out(folder: Path, begun: Subtask, carry: Carrier, tell: Callable[[RunLoop], None]) -> RunRecord:
    """The record of a run that began with one subtask; `tell` is called before its first turn."""

    async def inside() -> RunRecord:
        async with open_store(folder / "nadg.db", CLOCK) as store, FakeEngine(carry, CLOCK) as engine:
            new = NewRun(id="run1", command="c", planner="model", plan=Plan(subtasks=(begun,)), planning=True)
            loop = RunLoop(
                new,
                await store.runs.create(new, "me"),
                store=store.runs,
                engine=engine,
                blobs=BlobFolder(folder / "blobs"),
                clock=CLOCK,
                skills={},
                watcher=Unwatched(),
            )
            tell(loop)
            await loop.run()
            return await store.runs.get("run1")

    return asyncio.run(inside())


def test_pieces_are_cut_for_the_definition_that_stands(tmp_path: Path) -> None:
    async def succeed(assignment: Assignment, say: Say) -> Outcome:
        return create_fake_outcome(assignment, CLOCK, result=b"[1]", per_item=True)

    def tell(loop: RunLoop) -> None:
        loop.tell(ev.SubtasksPlanned(subtasks=(python("each", "result = 1", items=["x", "y"]),)))
        anew = python("each", "result = 2", items=["x", "y", "z"])
        loop.tell(ev.PlanFinished(plan=Plan(subtasks=(python("first", "1"), anew), answer="each")))

    record = carried_out(tmp_path, python("first", "1"), succeed, tell)
    assert (record.state, record.reason) == (RunState.SUCCEEDED, "")
    each = record.subtasks[1]
    assert [one.state for one in each.shards] == [ShardState.SUCCEEDED] * 3


def test_an_attempt_that_is_overtaken_fails_nothing(tmp_path: Path) -> None:
    """A second try begins just when the table that it reads is planned anew, and so is not there."""
    blob = BlobFolder(tmp_path / "blobs").put(b"a,b\n1,2\n")
    look = python("look", "result = 1", "table", inputs=["table/out.csv"])
    loops: list[RunLoop] = []
    overtaken: list[str] = []

    async def carry(assignment: Assignment, say: Say) -> Outcome:
        assert isinstance(assignment.job, Code)
        made = create_fake_outcome(assignment, CLOCK)
        if assignment.job.code != "result = 1":
            return msgspec.structs.replace(made, artifacts=(FileRef(name="out.csv", blob=blob),))
        if not overtaken:
            overtaken.append(assignment.attempt_id)
            at = CLOCK.now()
            loops[0].event(ev.AttemptLost(attempt_id=assignment.attempt_id, worker="w", reason="gone", at=at))
            final = Plan(subtasks=(python("table", "new"), look), answer="look")
            loops[0].tell(ev.PlanFinished(plan=final))
            raise WorkerGone("gone")
        return made

    def tell(loop: RunLoop) -> None:
        loops.append(loop)
        loop.tell(ev.SubtasksPlanned(subtasks=(look,)))

    record = carried_out(tmp_path, python("table", "old"), carry, tell)
    assert overtaken
    assert (record.state, record.reason) == (RunState.SUCCEEDED, "")
