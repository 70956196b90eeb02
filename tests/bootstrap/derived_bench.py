"""A store, blobs, and runs over them whose workers are a function: carried out, and derived from one another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from nadg.bootstrap.asked import ModelWishes
from nadg.bootstrap.carriage import Carriage
from nadg.bootstrap.carrying import Planning, RunCarrier
from nadg.bootstrap.deriving import DerivationAsked, derive_run
from nadg.bootstrap.planning import create_planners
from nadg.bootstrap.review import RunEstimate
from nadg.domain.assignment import Assignment, Items
from nadg.domain.changes import Change, SubtaskChanged
from nadg.domain.clock import SystemClock
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, Subtask
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.tier import Tier
from nadg.engines.fake import FakeEngine, Say, create_fake_outcome
from nadg.engines.grid import WorkerView
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings
from nadg.store import SqlStore, open_store

CLOCK = SystemClock()


def python(subtask_id: str, *needs: str, **more: object) -> Subtask:
    work = {"kind": "python", "code": f"result = '{subtask_id}'"}
    return Subtask.model_validate({"id": subtask_id, "work": work, "needs": needs, **more})


EACH = python("each", "first", foreach=Foreach(items=[1, 2, 3], shard_size=1))
PLAN = Plan(subtasks=(python("first"), EACH, python("beside"), python("last", "each", "beside")))


class Seen:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.first_done = asyncio.Event()

    def run_created(self, run_id: str, plan: Plan) -> None:
        assert self.changes == []

    def changed(self, run_id: str, change: Change) -> None:
        self.changes.append(change)
        if isinstance(change, SubtaskChanged) and (change.subtask_id, change.state) == ("first", "succeeded"):
            self.first_done.set()

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...

    def estimated(self, estimate: RunEstimate) -> None: ...

    def workers(self, views: Sequence[WorkerView]) -> None: ...

    def notice(self, text: str) -> None: ...


class Bench:
    """A store, blobs, and how often each shard was sent to a worker."""

    def __init__(self, folder: Path, store: SqlStore) -> None:
        self.store, self.blobs = store, BlobFolder(folder / "blobs")
        self.settings = Settings(home=folder)
        self.fails: frozenset[str] = frozenset()
        self.sent: list[str] = []
        self.seen = Seen()
        self._runs = 0

    async def run(
        self, plan: Plan = PLAN, *, options: RunOptions | None = None, planning: Planning | None = None
    ) -> RunRecord:
        new = NewRun(
            id=self._id(),
            command="c",
            planner="file",
            plan=plan,
            options=options or RunOptions(),
            planning=planning is not None,
        )
        self.seen = Seen()
        return await self._carry(lambda carrier: carrier.carry(new, self.seen, None, planning))

    async def derived(
        self,
        parent: RunRecord,
        asked: DerivationAsked | None = None,
        wishes: ModelWishes | None = None,
        planning: Planning | None = None,
    ) -> RunRecord:
        found = await derive_run(
            parent,
            asked or DerivationAsked(),
            plan_events=await self.store.runs.plan_events(parent.id),
            blobs=self.blobs,
            wishes=wishes or ModelWishes(),
            has_model=False,
            run_id=self._id(),
        )
        self.seen, kept = Seen(), found.kept.changes
        return await self._carry(lambda carrier: carrier.carry_derived(found.new, kept, self.seen, None, planning))

    async def taken_over(self, record: RunRecord) -> RunRecord:
        """By a master of its own."""
        self.seen, wishes = Seen(), ModelWishes()

        async def take(carrier: RunCarrier) -> RunRecord:
            carriage = Carriage(
                self.settings,
                wishes,
                store=self.store,
                blobs=self.blobs,
                planners=create_planners(self.settings, wishes, self.blobs, None),
                door=None,
                carrier=carrier,
                clock=CLOCK,
                follows=True,
            )
            return await carriage.take_over(record, self.seen)

        return await self._carry(take)

    def _id(self) -> str:
        self._runs += 1
        return f"run{self._runs}"

    async def _carry(self, run: Callable[[RunCarrier], Awaitable[RunRecord]]) -> RunRecord:
        async with FakeEngine(self._work, CLOCK, environment="here") as engine:
            carrier = RunCarrier(
                self.settings, store=self.store, engine=engine, blobs=self.blobs, skills={}, clock=CLOCK
            )
            record = await run(carrier)
        self.sent = sorted(one.attempt_id.split("/", 1)[1] for one in engine.submitted)
        return record

    async def _work(self, assignment: Assignment, say: Say) -> Outcome:
        _, subtask, index, _ = assignment.attempt_id.split("/")
        if f"{subtask}/{index}" in self.fails:
            return create_fake_outcome(assignment, CLOCK, kind="failed", reason="ValueError: no")
        piece = assignment.piece
        result = piece.values.inline or b"" if isinstance(piece, Items) else b"1"
        per_item = isinstance(piece, Items)
        made = create_fake_outcome(assignment, CLOCK, result=result, per_item=per_item, environment="here")
        return replace(made, receipt=replace(made.receipt, sandbox_tier=Tier.LANDLOCK))


def on_bench(folder: Path, body: Callable[[Bench], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with open_store(folder / "nadg.db", CLOCK) as store:
            await body(Bench(folder, store))

    asyncio.run(inside())
