"""Runs that are resumed and forked: a real SQLite file, a real blob folder, and workers that are a function."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from nadg.bootstrap.asked import ModelWishes, wishes_of_derived, wishes_of_run
from nadg.bootstrap.deriving import DerivationAsked, options_of_derived
from nadg.domain.assignment import Whole
from nadg.domain.changes import RunChanged
from nadg.domain.commands import Dispatch
from nadg.domain.errors import UserError
from nadg.domain.events import PlanFinished, PlanningFailed
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import Budget
from nadg.domain.plan import Plan, PromptWork, PythonWork, Subtask
from nadg.domain.run import Lease, NewRun, RunOptions, RunRecord
from nadg.domain.states import RunState
from nadg.orchestrator.assignments import build_prompt
from nadg.orchestrator.ending import ending_changes
from nadg.orchestrator.loop import RunLoop
from nadg.orchestrator.progress import ShardProgress, create_progress
from nadg.orchestrator.prompt_parts import create_call
from tests.bootstrap.derived_bench import CLOCK, PLAN, Bench, on_bench

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
        unasked = replace(prompts, options=RunOptions(model="none"))
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
            (unasked, fork, "and --model none wants none; name one with --model"),
            (mended, fork, "or do without: --model none"),
            (lost, fork, r"input a\.csv of run run1 is not here any more"),
        )
        for parent, asked, match in cases:
            await refused(bench, parent, asked, match)
        assert [one.id for one in await bench.store.runs.list()] == ["run1"]
        new = await bench.derived(mended, fork, ModelWishes(model="none"))
        assert new.options.max_repairs == 0

    on_bench(tmp_path, body)


def test_who_goes_on_with_a_run_asks_the_models_that_it_asked(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        options = RunOptions(model="google:a", budget=Budget(tokens=5), use_cache=False)
        run = await bench.run(options=options)
        same = ModelWishes(model="google:a", budget=Budget(tokens=5), use_cache=False)
        assert wishes_of_run(run) == same
        assert wishes_of_run(replace(run, planning=True)) == replace(same, planner="auto")
        assert wishes_of_run(replace(run, options=RunOptions())) == ModelWishes()
        assert wishes_of_derived(run, ModelWishes(model="none")).model == "none"

    on_bench(tmp_path, body)


def test_options_are_the_parents_but_for_what_is_asked() -> None:
    parent = RunOptions(
        timeout_seconds=9,
        model="google:a",
        max_retries=7,
        budget=Budget(usd=1, tokens=5),
        hedge=False,
        max_repairs=2,
        compose_answer=True,
        forked_from="a",
    )
    same = options_of_derived(parent, RunOptions(), ModelWishes())
    assert same == replace(parent, forked_from="")
    asked = RunOptions(timeout_seconds=3, continue_on_failure=True, max_retries=0)
    wishes = ModelWishes(budget=Budget(usd=2), use_cache=False, repairs=0)
    other = options_of_derived(parent, asked, wishes)
    assert (other.timeout_seconds, other.continue_on_failure, other.hedge) == (3, True, False)
    assert other.max_retries == 0
    assert (other.budget, other.use_cache, other.max_repairs) == (Budget(usd=2, tokens=5), False, 0)
    assert options_of_derived(parent, asked, ModelWishes(model="google:b")).model == "google:b"
    without = options_of_derived(parent, asked, ModelWishes(model="none"))
    assert (without.model, without.compose_answer, without.max_repairs) == ("none", False, 0)


def test_a_plan_that_was_never_whole_is_planned_anew_and_what_was_done_of_it_is_kept(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        begun = Plan(subtasks=PLAN.subtasks[:2])

        async def broke_off(loop: RunLoop) -> None:
            await bench.seen.first_done.wait()
            loop.tell(PlanningFailed(reason="the model went away"))

        async def planned(loop: RunLoop) -> None:
            loop.tell(PlanFinished(plan=PLAN, planner="another"))

        old = await bench.run(begun, options=NO_CACHE, planning=broke_off)
        assert (old.state, old.planning) == (RunState.FAILED, True)
        new = await bench.derived(old, planning=planned)
        assert (new.state, new.planning, new.planner) == (RunState.SUCCEEDED, False, "another")
        assert "first/0/1" not in bench.sent

    on_bench(tmp_path, body)


def test_prompts_of_a_fork_are_asked_anew() -> None:
    ask = Subtask(id="ask", work=PromptWork(kind="prompt", prompt="Why?"))
    for anew in ((), ("ask",)):
        run = create_progress("r", Plan(subtasks=(ask,)), RunOptions(anew=anew), {})
        run.subtasks["ask"].shards.append(ShardProgress(piece=Whole()))
        dispatch = Dispatch(attempt_id="r/ask/0/1", subtask_id="ask", shard_index=0)
        assert create_call(build_prompt(run, dispatch, ()), (), None).anew is bool(anew)


def test_a_run_is_taken_over_only_where_nobody_holds_it_and_its_files_are(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        blob = bench.blobs.put(b"a\n1\n")
        files = (InputFile(name="a.csv", blob=blob, kind="table"),)
        new = NewRun(id="run1", command="c", planner="file", plan=PLAN, inputs=files)
        await bench.store.blobs.record([blob])
        lease = await bench.store.runs.create(new, "somebody")
        record = await bench.store.runs.get("run1")
        with pytest.raises(UserError, match="was taken over by another master, or ended; watch it"):
            await bench.taken_over(record)
        await bench.store.runs.release(lease)
        bench.blobs.path(blob.sha256).unlink()
        with pytest.raises(UserError, match=r"1 of its files are elsewhere; .* share them by NADG_BLOBS"):
            await bench.taken_over(record)
        assert (await bench.store.runs.get("run1")).orphaned, "it is left to others"
        bench.blobs.put(b"a\n1\n")
        assert (await bench.taken_over(record)).state is RunState.SUCCEEDED
        stored = [event.change for event in await bench.store.runs.events_after("run1", 0)]
        assert bench.seen.changes == stored

    on_bench(tmp_path, body)
