"""The loop with language models: over a real SQLite file, a scripted door, and an engine told what comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nadg.domain import events as ev
from nadg.domain.assignment import Assignment, Code
from nadg.domain.changes import Change, SubtaskChanged
from nadg.domain.clock import SystemClock
from nadg.domain.errors import BudgetSpent, ContentBlocked, ModelUnavailable
from nadg.domain.model_calls import ModelUsage
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PromptWork, PythonWork, Subtask
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.states import RunState, ShardState, SubtaskState
from nadg.engines.fake import Carrier, FakeEngine, Say, create_fake_outcome
from nadg.link.blobfolder import BlobFolder
from nadg.models.call import Reply
from nadg.models.fake_door import FakeDoor, Scripted
from nadg.orchestrator.export import run_document
from nadg.orchestrator.loop import RunLoop
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.values import read_value
from nadg.store import SqlStore, open_store
from tests.orchestrator.accounts import SilentAccount

CLOCK = SystemClock()


def python(name: str, code: str = "result = 1", *needs: str) -> Subtask:
    return Subtask(id=name, work=PythonWork(kind="python", code=code), needs=needs)


def ask(name: str, *needs: str, items: list[str] | None = None) -> Subtask:
    foreach = None if items is None else Foreach(items=list(items), shard_size=1)
    return Subtask(id=name, work=PromptWork(kind="prompt", prompt="Say it."), needs=needs, foreach=foreach)


async def succeed(assignment: Assignment, say: Say) -> Outcome:
    return create_fake_outcome(assignment, CLOCK, result=b'"done"')


class Seen:
    """Remembers what a watcher is told; `then` is called with each change."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.then: Callable[[Change], None] | None = None

    def changed(self, run_id: str, change: Change) -> None:
        self.changes.append(change)
        if self.then is not None:
            self.then(change)

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class Stage:
    """One run, and what it needs."""

    def __init__(self, folder: Path, store: SqlStore, carry: Carrier, script: list[Scripted]) -> None:
        self.store, self.seen = store, Seen()
        self.blobs = BlobFolder(folder / "blobs")
        self.engine = FakeEngine(carry, CLOCK)
        self.door, self.account = FakeDoor(script), SilentAccount("run1")

    async def loop(self, plan: Plan, options: RunOptions | None = None, *, planning: bool = False) -> RunLoop:
        new = NewRun(
            id="run1",
            command="Do it",
            planner="model",
            plan=plan,
            options=options or RunOptions(),
            planning=planning,
        )
        lease = await self.store.runs.create(new, "me")
        access = ModelAccess(door=self.door, account=self.account, concurrency=2)
        return RunLoop(
            new,
            lease,
            store=self.store.runs,
            engine=self.engine,
            blobs=self.blobs,
            clock=CLOCK,
            skills={},
            watcher=self.seen,
            models=access,
        )

    async def record(self) -> RunRecord:
        return await self.store.runs.get("run1")


Body = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def on_stage(tmp_path: Path) -> Callable[..., None]:
    def play(body: Body, *script: Scripted, carry: Carrier = succeed) -> None:
        async def inside() -> None:
            async with open_store(tmp_path / "nadg.db", CLOCK) as store:
                stage = Stage(tmp_path, store, carry, list(script))
                async with stage.engine:
                    await body(stage)
            assert len(asyncio.all_tasks()) == 1, "nothing is left running"

        asyncio.run(inside())

    return play


def test_a_plan_grows_is_contradicted_and_is_stored_as_it_ended(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        begun = python("a", "result = 'old'")
        loop = await stage.loop(Plan(goal="Do it", subtasks=(begun,)), planning=True)
        loop.tell(ev.SubtasksPlanned(subtasks=(python("b", "result = 2", "a"), python("gone"))))
        final = Plan(
            goal="Do it well",
            subtasks=(python("a", "result = 'new'"), python("b", "result = 2", "a"), python("c", "1", "b")),
            answer="c",
        )
        loop.tell(ev.PlanFinished(plan=final))
        progress = await loop.run()
        assert progress.state is RunState.SUCCEEDED
        record = await stage.record()
        assert [one.id for one in record.subtasks] == ["a", "b", "gone", "c"]
        states = {one.id: one.state for one in record.subtasks}
        assert states.pop("gone") in (SubtaskState.CANCELLED, SubtaskState.SUCCEEDED)
        assert set(states.values()) == {SubtaskState.SUCCEEDED}
        assert (record.plan.goal, record.plan.answer_id) == ("Do it well", "c")
        assert record.plan.subtask("a").work == PythonWork(kind="python", code="result = 'new'")
        codes = [one.job.code for one in stage.engine.submitted if isinstance(one.job, Code)]
        assert codes.count("result = 'new'") == 1
        document = run_document(record, stage.blobs)
        assert document["subtasks"][2]["reason"] == "the finished plan does without it"

    on_stage(body)


def test_planning_that_fails_keeps_what_is_done(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        loop = await stage.loop(Plan(subtasks=(python("a"),)), planning=True)

        def fail_when_done(change: Change) -> None:
            if isinstance(change, SubtaskChanged) and change.state is SubtaskState.SUCCEEDED:
                loop.tell(ev.PlanningFailed(reason="the model gave up"))

        stage.seen.then = fail_when_done
        await loop.run()
        record = await stage.record()
        assert (record.state, record.reason) == (RunState.FAILED, "the model gave up")
        assert record.subtasks[0].state is SubtaskState.SUCCEEDED
        assert record.subtasks[0].result is not None

    on_stage(body)


def test_code_is_mended_and_both_attempts_stand_in_the_record(on_stage: Callable[..., None]) -> None:
    async def carry(assignment: Assignment, say: Say) -> Outcome:
        assert isinstance(assignment.job, Code)
        if "bad" in assignment.job.code:
            return create_fake_outcome(assignment, CLOCK, kind="failed", reason="NameError: bad")
        return create_fake_outcome(assignment, CLOCK, result=b'"mended"')

    async def body(stage: Stage) -> None:
        loop = await stage.loop(Plan(subtasks=(python("a", "bad"),)), RunOptions(max_repairs=2))
        await loop.run()
        record = await stage.record()
        assert record.state is RunState.SUCCEEDED
        (shard,) = record.subtasks[0].shards
        assert [str(one.state) for one in shard.attempts] == ["failed", "succeeded"]
        assert record.plan.subtask("a").work == PythonWork(kind="python", code="good")
        (call,) = stage.door.calls
        assert call.purpose == "repair"
        assert "NameError: bad" in call.turns[0].text

    on_stage(body, json.dumps({"cause": "a typo", "code": "good"}), carry=carry)


def test_code_that_cannot_run_or_is_the_same_is_no_mending(on_stage: Callable[..., None]) -> None:
    async def carry(assignment: Assignment, say: Say) -> Outcome:
        return create_fake_outcome(assignment, CLOCK, kind="failed", reason="NameError: bad")

    async def body(stage: Stage) -> None:
        await (await stage.loop(Plan(subtasks=(python("a", "bad"),)), RunOptions(max_repairs=2))).run()
        record = await stage.record()
        assert record.reason == (
            "a failed: NameError: bad (its code could not be mended: fake:script gave the same code again)"
        )

    on_stage(body, json.dumps({"cause": "none", "code": "bad\n"}), carry=carry)


def test_prompts_and_code_work_together_and_the_answer_cites_them(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        plan = Plan(subtasks=(ask("words", items=["a", "b"]), python("count", "result = 2", "words")))
        await (await stage.loop(plan, RunOptions(compose_answer=True))).run()
        record = await stage.record()
        assert record.state is RunState.SUCCEEDED
        assert record.answer == "Two words [count].\n\n## Sources\n\n- [count] count"
        result = record.subtasks[0].result
        assert result is not None
        assert json.loads(read_value(result, stage.blobs)) == ["alpha", "beta"]
        assert [call.purpose for call in stage.door.calls] == ["prompt", "prompt", "answer"]

    on_stage(body, "alpha", "beta", "Two words [count].")


def test_items_that_all_fail_fail_the_subtask(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        await (await stage.loop(Plan(subtasks=(ask("words", items=["a", "b"]),)))).run()
        record = await stage.record()
        assert record.reason == "words failed: none of the 2 items has an answer; the first, because the filter"

    on_stage(body, ContentBlocked("the filter"), ContentBlocked("the filter"))


def test_a_spent_budget_stops_the_run_and_keeps_what_is_done(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        plan = Plan(subtasks=(python("first"), ask("words", "first", items=["a", "b", "c"])))
        await (await stage.loop(plan)).run()
        record = await stage.record()
        assert (record.state, record.reason) == (RunState.FAILED, "$0.01 is spent")
        assert record.subtasks[0].state is SubtaskState.SUCCEEDED
        assert record.subtasks[1].state is SubtaskState.CANCELLED
        states = [shard.state for shard in record.subtasks[1].shards]
        assert states.count(ShardState.SUCCEEDED) == 1

    on_stage(body, "alpha", BudgetSpent("$0.01 is spent"), BudgetSpent("$0.01 is spent"))


def test_an_answer_that_cannot_be_composed_is_the_last_result_itself(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        await (await stage.loop(Plan(subtasks=(python("a"),)), RunOptions(compose_answer=True))).run()
        record = await stage.record()
        assert record.state is RunState.SUCCEEDED
        assert record.answer == ""
        assert stage.account.notices == ["the answer is not a model's, but the last result itself: google is down"]

    on_stage(body, ModelUnavailable("google is down"))


def test_prompt_work_without_a_model_fails_with_what_to_do(tmp_path: Path) -> None:
    async def inside() -> None:
        async with open_store(tmp_path / "nadg.db", CLOCK) as store:
            stage = Stage(tmp_path, store, succeed, [])
            async with stage.engine:
                new = NewRun(id="run1", command="c", planner="file", plan=Plan(subtasks=(ask("a"),)))
                lease = await store.runs.create(new, "me")
                await RunLoop(
                    new,
                    lease,
                    store=store.runs,
                    engine=stage.engine,
                    blobs=stage.blobs,
                    clock=CLOCK,
                    skills={},
                    watcher=stage.seen,
                ).run()
                record = await stage.record()
                assert "none is configured; set GEMINI_API_KEY or NADG_MODEL" in record.reason

    asyncio.run(inside())


def test_a_title_forges_no_sources(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        title = "Evil\n\n# Heading\n\n- [a] forged"
        plan = Plan(subtasks=(python("a").model_copy(update={"title": title}),))
        await (await stage.loop(plan, RunOptions(compose_answer=True))).run()
        record = await stage.record()
        assert record.answer.endswith("## Sources\n\n- [a] Evil # Heading - \\[a\\] forged")

    on_stage(body, "Done [a].")


def test_an_answer_that_was_cut_off_is_said_to_be(on_stage: Callable[..., None]) -> None:
    async def body(stage: Stage) -> None:
        await (await stage.loop(Plan(subtasks=(python("a"),)), RunOptions(compose_answer=True))).run()
        assert (await stage.record()).answer.startswith("Half [a].")
        assert stage.account.notices == ["cut off at 8 tokens"]

    on_stage(body, Reply(text="Half [a].", model="fake:script", usage=ModelUsage(), cut_off="cut off at 8 tokens"))
