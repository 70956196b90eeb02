"""Runs one after the other that share a SQLite file and blobs, and an engine that is told what its workers are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from nadg.domain.assignment import Assignment, Items, Merge, Rows
from nadg.domain.blob import FileRef
from nadg.domain.changes import Change
from nadg.domain.clock import SystemClock
from nadg.domain.inputs import InputFile
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask
from nadg.domain.run import AttemptRecord, NewRun, RunOptions, RunRecord
from nadg.domain.skill import SkillSpec
from nadg.domain.tier import Tier
from nadg.engines.fake import FakeEngine, Say, create_fake_outcome
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.loop import RunLoop
from nadg.orchestrator.values import read_value
from nadg.store import SqlStore, open_store

CLOCK = SystemClock()
PYTHON = PythonWork(kind="python", code="result = 1")
SKILLS = {
    "rows.merged": SkillSpec(name="rows.merged", summary="", maps_over="rows", merges=True),
    "dice.thrown": SkillSpec(name="dice.thrown", summary="", takes="nothing", cacheable=False),
}
ONE = Plan(subtasks=(Subtask(id="a", work=PYTHON),))
FIVE = Plan(subtasks=(Subtask(id="a", work=PYTHON, foreach=Foreach(items=[1, 2, 3, 4, 5], shard_size=1)),))


class Unwatched:
    """A watcher that is told everything and keeps nothing."""

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class Place:
    """A store, a blob folder and an engine; `submitted` names what the last run sent to it."""

    def __init__(self, folder: Path, store: SqlStore) -> None:
        self.store, self.blobs = store, BlobFolder(folder / "blobs")
        self.skills = dict(SKILLS)
        self.environment = "here"
        self.tier = Tier.LANDLOCK
        self.kind = "succeeded"
        self.artifact: FileRef | None = None
        self.submitted: list[str] = []
        self._runs = 0

    async def run(self, plan: Plan, options: RunOptions | None = None, table: bytes = b"") -> RunRecord:
        self._runs += 1
        files = (InputFile(name="t.csv", blob=self.blobs.put(table), kind="table"),) if table else ()
        new = NewRun(
            id=f"run{self._runs}",
            command="c",
            planner="file",
            plan=plan,
            inputs=files,
            options=options or RunOptions(),
        )
        lease = await self.store.runs.create(new, "me")
        async with FakeEngine(self._carry, CLOCK, environment=self.environment) as engine:
            loop = RunLoop(
                new,
                lease,
                store=self.store.runs,
                engine=engine,
                blobs=self.blobs,
                clock=CLOCK,
                skills=self.skills,
                watcher=Unwatched(),
            )
            await loop.run()
        self.submitted = sorted(one.attempt_id.split("/", 1)[1] for one in engine.submitted)
        return await self.store.runs.get(new.id)

    async def _carry(self, assignment: Assignment, say: Say) -> Outcome:
        """Gives the items of the shard, the number of rows, or the number of merged parts."""
        result = b"1"
        match assignment.piece:
            case Items(values=values):
                result = values.inline or b""
            case Rows(count=count):
                result = json.dumps(count).encode()
            case Merge(parts=parts):
                result = json.dumps(sum(json.loads(part.result.inline or b"0") for part in parts)).encode()
        per_item = isinstance(assignment.piece, Items)
        outcome = create_fake_outcome(
            assignment,
            CLOCK,
            kind="succeeded" if self.kind == "succeeded" else "failed",
            result=result,
            per_item=per_item,
            reason="" if self.kind == "succeeded" else "it raised",
            environment=self.environment,
        )
        receipt = msgspec.structs.replace(outcome.receipt, sandbox_tier=self.tier)
        files = (self.artifact,) if self.artifact else ()
        return msgspec.structs.replace(outcome, receipt=receipt, artifacts=files)


def in_place(folder: Path, body: Callable[[Place], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with open_store(folder / "nadg.db", CLOCK) as store:
            await body(Place(folder, store))

    asyncio.run(inside())


def attempts(run: RunRecord) -> list[AttemptRecord]:
    return [attempt for subtask in run.subtasks for shard in subtask.shards for attempt in shard.attempts]


def receipt_of(attempt: AttemptRecord) -> Receipt:
    assert attempt.outcome is not None
    return attempt.outcome.receipt


def origin(attempt: AttemptRecord) -> str:
    return receipt_of(attempt).reused_from


def answer(place: Place, run: RunRecord) -> object:
    result = run.subtasks[-1].result
    assert result is not None
    return json.loads(read_value(result, place.blobs))


async def runs_again(place: Place, plan: Plan = ONE, options: RunOptions | None = None) -> bool:
    await place.run(plan, options)
    return bool(place.submitted)
