"""Runs that are resumed and forked: a real SQLite file, a real blob folder, and workers that are a function."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from nadg.bootstrap.asked import ModelWishes
from nadg.bootstrap.carrying import RunCarrier
from nadg.bootstrap.deriving import DerivationAsked, derive_run, options_of_derived
from nadg.domain.assignment import Assignment, Items
from nadg.domain.changes import Change, RunChanged
from nadg.domain.clock import SystemClock
from nadg.domain.errors import UserError
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import Budget
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PromptWork, PythonWork, Subtask
from nadg.domain.run import Lease, NewRun, RunOptions, RunRecord
from nadg.domain.states import RunState
from nadg.domain.tier import Tier
from nadg.engines.fake import FakeEngine, Say, create_fake_outcome
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.ending import ending_changes
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

    def run_created(self, run_id: str, plan: Plan) -> None:
        assert self.changes == []

    def changed(self, run_id: str, change: Change) -> None:
        self.changes.append(change)

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class Bench:
    """A store, blobs, and how often each shard was sent to a worker."""

    def __init__(self, folder: Path, store: SqlStore) -> None:
        self.store, self.blobs = store, BlobFolder(folder / "blobs")
        self.settings = Settings(home=folder)
        self.fails: frozenset[str] = frozenset()
        self.sent: list[str] = []
        self.seen = Seen()
        self._runs = 0

    async def run(self, plan: Plan = PLAN, *, options: RunOptions | None = None, **more: object) -> RunRecord:
        new = NewRun(id=self._id(), command="c", planner="file", plan=plan, options=options or RunOptions())
        return await self._carry(lambda carrier: carrier.carry(replace(new, **more), Seen(), None))

    async def derived(
        self, parent: RunRecord, asked: DerivationAsked | None = None, wishes: ModelWishes | None = None
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
        return await self._carry(lambda carrier: carrier.carry_derived(found.new, kept, self.seen, None))

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


NO_CACHE = RunOptions(use_cache=False)


def test_a_resumed_run_does_what_failed_and_what_is_missing(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.fails = frozenset({"each/1"})
        old = await bench.run(options=replace(NO_CACHE, continue_on_failure=True))
        assert old.state is RunState.FAILED
        bench.fails = frozenset()
        new = await bench.derived(old)
        assert (new.state, new.parent, new.options.forked_from) == (RunState.SUCCEEDED, old.id, "")
        assert bench.sent == ["each/1/1", "last/0/1"]
        assert [len(one.shards) for one in new.subtasks] == [1, 3, 1, 1]
        assert await bench.store.runs.get(old.id) == old, "the old run stays as it is"

    on_bench(tmp_path, body)


def test_who_watches_hears_of_what_is_kept_before_the_run_begins(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.fails = frozenset({"last/0"})
        new = await bench.derived(await bench.run(options=NO_CACHE))
        stored = [event.change for event in await bench.store.runs.events_after(new.id, 0)]
        assert bench.seen.changes == stored
        begins = next(place for place, one in enumerate(stored) if isinstance(one, RunChanged))
        assert begins > 20
        assert new.state is RunState.FAILED, "it fails as the old one did"
        again = await bench.derived(new)
        assert bench.sent == ["last/0/1"], "a resumed run can be resumed"
        assert again.parent == new.id

    on_bench(tmp_path, body)


def test_a_run_that_was_stopped_with_all_done_just_ends(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.store.runs.create(NewRun(id="run1", command="c", planner="file", plan=PLAN), "me")
        await bench.store.runs.commit(
            Lease(run_id="run1", owner="me", term=1),
            ending_changes(await bench.store.runs.get("run1"), "stopped", CLOCK.now()),
        )
        bench._runs = 1
        new = await bench.derived(await bench.store.runs.get("run1"))
        assert (new.state, len(bench.sent)) == (RunState.SUCCEEDED, 6), "nothing was done, so all is"

    on_bench(tmp_path, body)


def test_a_fork_does_its_subtask_again_although_equal_work_is_known(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run()
        await bench.run()
        assert bench.sent == [], "equal work is not done again otherwise"
        new = await bench.derived(old, DerivationAsked(from_subtask="each"))
        assert bench.sent == ["each/0/1", "each/1/1", "each/2/1", "last/0/1"]
        assert (new.options.anew, new.options.forked_from, new.parent) == (("each", "last"), "each", old.id)
        (listed, *_) = await bench.store.runs.list()
        assert (listed.id, listed.forked_from) == (new.id, "each")

    on_bench(tmp_path, body)


def test_what_else_was_changed_in_a_forks_plan_may_come_from_earlier_runs(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        other = PythonWork(kind="python", code="result = 'other'")
        changed = Plan(subtasks=tuple(
            one.model_copy(update={"work": other}) if one.id == "beside" else one for one in PLAN.subtasks
        ))  # fmt: skip
        await bench.run(changed)
        old = await bench.run()
        await bench.derived(old, DerivationAsked(from_subtask="last", plan=changed, planner="file"))
        assert bench.sent == ["last/0/1"]

    on_bench(tmp_path, body)


def test_a_resumed_fork_still_takes_nothing_from_before_it(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run()
        bench.fails = frozenset({"each/2"})
        fork = await bench.derived(old, DerivationAsked(from_subtask="each"))
        assert fork.state is RunState.FAILED
        bench.fails = frozenset()
        done = await bench.derived(fork)
        assert {"each/2/1", "last/0/1"} <= set(bench.sent)
        assert (done.state, done.options.forked_from) == (RunState.SUCCEEDED, "")

    on_bench(tmp_path, body)


def refused(bench: Bench, parent: RunRecord, asked: DerivationAsked, match: str) -> Awaitable[None]:
    async def inside() -> None:
        with pytest.raises(UserError, match=match):
            await bench.derived(parent, asked)

    return inside()


def test_what_cannot_be_is_told_before_anything_is_stored(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        old = await bench.run()
        fork = DerivationAsked(from_subtask="each")
        going = replace(old, state=RunState.RUNNING)
        half = replace(old, planning=True, state=RunState.FAILED)
        asking = Subtask(id="ask", work=PromptWork(kind="prompt", prompt="Why?"))
        prompts = replace(old, plan=Plan(subtasks=(*PLAN.subtasks, asking)))
        mended = replace(old, options=RunOptions(max_repairs=2))
        lost = replace(old, inputs=(InputFile(name="a.csv", blob=bench.blobs.put(b"1"), kind="text"),))
        bench.blobs.path(lost.inputs[0].blob.sha256).unlink()
        cases: Sequence[tuple[RunRecord, DerivationAsked, str]] = (
            (old, DerivationAsked(), "run1 succeeded: nothing is left to do"),
            (going, DerivationAsked(), "has not ended; watch it"),
            (going, fork, "has not ended; watch it .* and fork it then"),
            (half, fork, "plan of run run1 was never whole"),
            (old, DerivationAsked(from_subtask="x" * 99), "no subtask 'x{60}'; it has first, each, beside, last"),
            (prompts, fork, "has work for a language model, and none is configured"),
            (mended, fork, "or do without: --model none"),
            (lost, fork, r"input a\.csv of run run1 is not here any more"),
        )
        for parent, asked, match in cases:
            await refused(bench, parent, asked, match)
        assert [one.id for one in await bench.store.runs.list()] == ["run1"]
        new = await bench.derived(mended, fork, ModelWishes(model="none"))
        assert new.options.max_repairs == 0

    on_bench(tmp_path, body)


def test_options_are_the_parents_but_for_what_is_asked() -> None:
    parent = RunOptions(
        timeout_seconds=9,
        budget=Budget(usd=1, tokens=5),
        hedge=False,
        max_repairs=2,
        compose_answer=True,
        forked_from="a",
    )
    same = options_of_derived(parent, RunOptions(), ModelWishes())
    assert same == replace(parent, forked_from="")
    asked = RunOptions(timeout_seconds=3, continue_on_failure=True)
    wishes = ModelWishes(budget=Budget(usd=2), use_cache=False, repairs=0)
    other = options_of_derived(parent, asked, wishes)
    assert (other.timeout_seconds, other.continue_on_failure, other.hedge) == (3, True, False)
    assert (other.budget, other.use_cache, other.max_repairs) == (Budget(usd=2, tokens=5), False, 0)
    assert not options_of_derived(parent, asked, ModelWishes(model="none")).compose_answer
