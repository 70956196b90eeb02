"""Equal work is not done again, over a real SQLite file: runs one after the other that share a store and blobs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nadg.domain.assignment import Assignment
from nadg.domain.blob import FileRef
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, PythonWork, SkillWork, Subtask
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState
from nadg.domain.tier import Tier
from nadg.engines.fake import Say, WorkerGone
from tests.orchestrator.shared_outcomes import (
    FIVE,
    ONE,
    PYTHON,
    SKILLS,
    Place,
    answer,
    attempts,
    in_place,
    origin,
    receipt_of,
    runs_again,
)

MAPPED = Plan(
    subtasks=(
        Subtask(id="items", work=PYTHON, foreach=Foreach(items=[5, 6, 7], shard_size=2)),
        Subtask(
            id="rows",
            work=SkillWork(kind="skill", skill="rows.merged"),
            foreach=Foreach(rows_of="t.csv", shard_size=2),
        ),
        Subtask(id="end", work=PYTHON, needs=("items", "rows")),
    )
)


def test_a_second_run_reuses_every_shard_and_gives_the_same(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        table = b"a,b\n1,2\n3,4\n5,6\n"
        first = await place.run(MAPPED, table=table)
        assert place.submitted == ["end/0/1", "items/0/1", "items/1/1", "rows/0/1", "rows/1/1", "rows/2/1"]
        second = await place.run(MAPPED, table=table)
        assert (second.state, place.submitted) == (RunState.SUCCEEDED, [])
        assert [one.result for one in second.subtasks] == [one.result for one in first.subtasks]
        for done, reused in zip(attempts(first), attempts(second), strict=True):
            assert origin(reused) == done.id
            kept = msgspec.structs.replace(receipt_of(reused), reused_from="")
            assert kept == receipt_of(done)
            assert (done.began, done.reused, reused.began, reused.reused) == (True, False, False, True)
        third = await place.run(MAPPED, table=table)
        named = [origin(one) for one in attempts(third)]
        assert named == [one.id for one in attempts(first)], "the attempt that ran, not the one that reused it"

    in_place(tmp_path, body)


def test_changed_input_costs_just_what_rests_on_it(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        await place.run(MAPPED, table=b"a,b\n1,2\n3,4\n5,6\n")
        await place.run(MAPPED, table=b"a,b\n1,2\n3,4\n5,7\n")
        assert place.submitted == ["rows/0/1", "rows/1/1"], "the parts are what they were, so their merge is"
        await place.run(MAPPED, table=b"a,b\n1,2\n3,4\n")
        assert place.submitted == ["end/0/1", "rows/0/1", "rows/1/1"]

    in_place(tmp_path, body)


def test_more_items_cost_the_new_ones_however_few_are_looked_up_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nadg.orchestrator.reuse.ASKED_AHEAD", 2)

    async def body(place: Place) -> None:
        await place.run(FIVE)
        more = Foreach(items=[1, 2, 3, 4, 50, 6, 7], shard_size=1)
        run = await place.run(Plan(subtasks=(Subtask(id="b", title="other", work=PYTHON, foreach=more),)))
        assert place.submitted == ["b/4/1", "b/5/1", "b/6/1"]
        assert answer(place, run) == [1, 2, 3, 4, 50, 6, 7]

    in_place(tmp_path, body)


def test_other_code_arguments_and_versions_are_other_work(tmp_path: Path) -> None:
    def skill(size: int) -> Plan:
        work = SkillWork(kind="skill", skill="rows.merged", args={"size": size})
        return Plan(subtasks=(Subtask(id="a", work=work),))

    async def body(place: Place) -> None:
        sent: list[int] = []
        other = PythonWork(kind="python", code="result = 2")
        for plan in (ONE, ONE, Plan(subtasks=(Subtask(id="a", work=other),)), skill(1), skill(1), skill(2)):
            await place.run(plan)
            sent.append(len(place.submitted))
        place.skills["rows.merged"] = msgspec.structs.replace(SKILLS["rows.merged"], version="2")
        await place.run(skill(2))
        assert [*sent, len(place.submitted)] == [1, 0, 1, 1, 0, 1, 1]

    in_place(tmp_path, body)


def test_who_wants_no_cache_gets_new_outcomes_which_then_serve_others(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        fresh = RunOptions(use_cache=False)
        for options in (fresh, fresh):
            assert await runs_again(place, options=options)
        run = await place.run(ONE)
        (attempt,) = attempts(run)
        assert origin(attempt) == "run2/a/0/1"

    in_place(tmp_path, body)


@pytest.mark.parametrize("work", [PYTHON, SkillWork(kind="skill", skill="dice.thrown")], ids=["subtask", "skill"])
def test_what_says_that_it_is_not_reusable_is_not(tmp_path: Path, work: PythonWork | SkillWork) -> None:
    plan = Plan(subtasks=(Subtask(id="a", work=work, cache=not isinstance(work, PythonWork)),))

    async def body(place: Place) -> None:
        for _ in range(2):
            assert await runs_again(place, plan)
        if isinstance(work, PythonWork):
            assert await runs_again(place), "it does not serve those either who would take it"

    in_place(tmp_path, body)


def test_failures_other_environments_and_open_sandboxes_never_serve(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        place.kind = "failed"
        assert (await place.run(ONE)).state is RunState.FAILED
        place.kind = "succeeded"
        assert await runs_again(place)
        place.environment = "elsewhere"
        assert await runs_again(place)
        assert not await runs_again(place)
        place.environment, place.tier = "open", Tier.NONE
        for _ in range(2):
            assert await runs_again(place, options=RunOptions(min_sandbox=Tier.NONE))
        place.environment = ""
        for _ in range(2):
            assert await runs_again(place), "a worker that does not say what it is"

    in_place(tmp_path, body)


def test_who_wants_a_stronger_sandbox_is_given_nothing_of_a_weaker_one(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        await place.run(ONE)
        assert await runs_again(place, options=RunOptions(min_sandbox=Tier.NAMESPACES))
        place.tier = Tier.NAMESPACES
        await place.run(ONE, RunOptions(use_cache=False))
        assert not await runs_again(place, options=RunOptions(min_sandbox=Tier.NAMESPACES))

    in_place(tmp_path, body)


def test_an_outcome_whose_files_are_gone_is_not_reused(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        place.artifact = FileRef(name="x", blob=place.blobs.put(b"made"))
        await place.run(ONE)
        assert not await runs_again(place)
        place.blobs.path(place.artifact.blob.sha256).unlink()
        place.artifact = FileRef(name="x", blob=place.blobs.put(b"made anew"))
        assert await runs_again(place)

    in_place(tmp_path, body)


def test_a_run_that_was_deleted_serves_no_more(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        first = await place.run(ONE)
        assert not await runs_again(place)
        await place.store.runs.delete(first.id)
        assert await runs_again(place), "its reusing copy has no proof of its own"

    in_place(tmp_path, body)


def test_a_lost_attempt_is_no_outcome_and_its_retry_is(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        carry = place._carry
        lost: list[str] = []

        async def unlucky(assignment: Assignment, say: Say) -> Outcome:
            if not lost:
                lost.append(assignment.attempt_id)
                raise WorkerGone("killed")
            return await carry(assignment, say)

        place._carry = unlucky  # type: ignore[method-assign]  # the first attempt shall be lost
        await place.run(ONE)
        assert place.submitted == ["a/0/1", "a/0/2"]
        (attempt,) = attempts(await place.run(ONE))
        assert origin(attempt) == "run1/a/0/2"

    in_place(tmp_path, body)


def test_workers_are_not_credited_with_what_they_did_not_do_again(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        node = await place.store.workers.add("http://127.0.0.1:1", name="fake")
        for _ in range(3):
            await place.run(FIVE)
        assert (await place.store.workers.get(node.id)).total_tasks == 5

    in_place(tmp_path, body)
