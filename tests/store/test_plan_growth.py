"""Plans that are still written: subtasks are added and redefined, code is mended, until the plan is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from nadg.domain.assignment import Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.changes import (
    AttemptAdded,
    Change,
    RunChanged,
    ShardsAdded,
    SubtaskChanged,
)
from nadg.domain.errors import IllegalTransition, LeaseLost
from nadg.domain.plan import MAX_SUBTASKS, Plan, PromptWork, PythonWork, Subtask
from nadg.domain.run import Lease
from nadg.domain.states import RunState, SubtaskState
from nadg.store import codec
from nadg.store.plan_edits import PlanDocument
from tests.store.conftest import Query
from tests.store.growing_plans import (
    RUNNING,
    SETTLED,
    NewRuns,
    Opened,
    added,
    begin,
    mended,
    moved,
    redefined,
    subtask_of,
    together,
)


def _stored(query: Query, column: str) -> list[object]:
    return [one for (one,) in query(column)]


def test_a_plan_grows_and_is_stored_as_one_that_was_whole_from_the_start(
    query: Query, opened: Opened, new_run: NewRuns
) -> None:
    prompt = PromptWork(kind="prompt", prompt="say", output_schema={"big": 10**30, "small": 1e-7, "täst": None})
    more = (subtask_of("b", title="Part “b”"), Subtask(id="c", work=prompt, needs=("b",)), subtask_of("d"))

    async def scenario() -> None:
        async with opened() as store:
            new = new_run("a")
            lease = await begin(store, new)
            assert await store.runs.commit(lease, [added(*more[:2]), added(), added(more[2])]) == 4
            await store.runs.commit(lease, [mended("b", "result = 'ü'"), SETTLED])
            second = more[0].model_copy(update={"work": PythonWork(kind="python", code="result = 'ü'")})
            run = await store.runs.get(lease.run_id)
            assert run.plan == Plan(goal="all of it", subtasks=(*new.plan.subtasks, second, *more[1:]), answer="a")
            assert [(one.id, one.state) for one in run.subtasks] == [(one, SubtaskState.WAITING) for one in "abcd"]
            events = await store.runs.events_after(lease.run_id, 1)
            assert [one.change for one in events][:1] == [added(*more[:2])]
            assert events[-1].change == SETTLED
            assert (await store.runs.list())[0].subtasks_total == 4
            assert _stored(query, "SELECT plan FROM runs") == [codec.encode_plan(run.plan)]

    asyncio.run(scenario())
    assert _stored(query, "SELECT title FROM subtasks ORDER BY position") == ["Part a", "Part “b”", "c", "d"]
    assert _stored(query, "SELECT position FROM subtasks ORDER BY position") == [0, 1, 2, 3]


def test_what_was_just_added_is_redefined_and_mended(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await begin(store, new_run("a"))
            anew = redefined(subtask_of("b", "result = 3", "Anew"))
            await store.runs.commit(lease, [mended("a"), added(subtask_of("b")), anew, mended("b", "result = 4")])
            run = await store.runs.get(lease.run_id)
            assert run.plan.subtasks[1] == subtask_of("b", "result = 4", "Anew")
            assert run.plan.subtasks[0].work == PythonWork(kind="python", code="result = 2")

    asyncio.run(scenario())


def test_what_a_stored_plan_consists_of_is_known_to_whoever_edits_it() -> None:
    assert PlanDocument.__struct_fields__ == tuple(Plan.model_fields)


def test_a_subtask_is_added_and_begun_in_one_commit(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await begin(store, new_run("a"), running=False)
            begun: list[Change] = [
                added(subtask_of("b")),
                *moved("b", SubtaskState.PREPARING),
                ShardsAdded(subtask_id="b", first=0, pieces=(Whole(),)),
                AttemptAdded(attempt_id=f"{lease.run_id}/b/0/1", subtask_id="b", index=0, number=1),
                *moved("b", SubtaskState.RUNNING),
            ]
            await store.runs.commit(lease, [RUNNING, *begun])
            part = (await store.runs.get(lease.run_id)).subtasks[1]
            assert (part.id, part.state, len(part.shards[0].attempts)) == ("b", SubtaskState.RUNNING, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "before",
    [
        (),
        (SubtaskState.SKIPPED,),
        (SubtaskState.PREPARING, SubtaskState.RUNNING),
        (SubtaskState.PREPARING, SubtaskState.RUNNING, SubtaskState.CLOSING, SubtaskState.SUCCEEDED),
    ],
)
def test_a_redefined_subtask_waits_anew_and_forgets_what_it_made(
    query: Query, opened: Opened, new_run: NewRuns, before: Sequence[SubtaskState]
) -> None:
    changes: list[Change] = [
        SubtaskChanged(
            subtask_id="a",
            state=state,
            reason="so",
            result=Value(inline=b"1"),
            artifacts=(FileRef(name="f", blob=BlobRef(sha256="0f" * 32, size=1)),),
        )
        for state in before
    ]

    async def scenario() -> None:
        async with opened() as store:
            lease = await begin(store, new_run("a", "b"))
            shard = ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))
            await store.runs.commit(lease, [*changes, shard])
            await store.runs.commit(lease, [redefined(subtask_of("a", "result = 7", "Anew"))])
            run = await store.runs.get(lease.run_id)
            part = run.subtasks[0]
            assert (part.id, part.state, part.reason) == ("a", SubtaskState.WAITING, "")
            assert (part.result, part.artifacts, len(part.shards)) == (None, (), 1)
            assert run.plan.subtasks[0] == subtask_of("a", "result = 7", "Anew")
            assert run.subtasks[1].state is SubtaskState.WAITING

    asyncio.run(scenario())
    assert _stored(query, "SELECT title FROM subtasks WHERE id = 'a'") == ["Anew"]


def test_moves_and_redefinitions_keep_their_order_in_a_commit_and_in_a_group(
    opened: Opened, new_run: NewRuns
) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await begin(store, new_run("a"))
            again: list[Change] = [
                *moved("a", SubtaskState.PREPARING, SubtaskState.FAILED),
                redefined(subtask_of("a")),
                *moved("a", SubtaskState.PREPARING),
            ]
            await store.runs.commit(lease, again)
            assert (await store.runs.get(lease.run_id)).subtasks[0].state is SubtaskState.PREPARING
            answers = await together(
                store,
                new_run(),
                (lease, moved("a", SubtaskState.RUNNING)),
                (lease, [redefined(subtask_of("a"))]),
                (lease, moved("a", SubtaskState.SKIPPED)),
                (lease, [redefined(subtask_of("a"))]),
            )
            assert answers == [6, 7, 8, 9]
            assert (await store.runs.get(lease.run_id)).subtasks[0].state is SubtaskState.WAITING

    asyncio.run(scenario())


def test_many_runs_grow_in_one_group(opened: Opened, new_run: NewRuns) -> None:
    names = [f"s{one}" for one in range(20)]

    async def scenario() -> None:
        async with opened() as store:
            leases = [await begin(store, new_run("a")) for _ in range(5)]
            lost = Lease(run_id=leases[0].run_id, owner="me", term=9)
            commits: list[tuple[Lease, Sequence[Change]]] = [
                (
                    lease,
                    [added(subtask_of(name, f"result = '{lease.run_id}'")), *moved(name, SubtaskState.SKIPPED)],
                )
                for name in names
                for lease in leases
            ]
            answers = await together(
                store, new_run(), (lost, [added(subtask_of("x"))]), *commits, (leases[1], [added(subtask_of("a"))])
            )
            assert isinstance(answers[0], LeaseLost)
            assert isinstance(answers[-1], IllegalTransition)
            assert list(answers[1:-1]) == [3 + 2 * place for place in range(len(names)) for _ in leases]
            for lease in leases:
                run = await store.runs.get(lease.run_id)
                assert [one.id for one in run.subtasks] == [one.id for one in run.plan.subtasks] == ["a", *names]
                assert {one.state for one in run.subtasks[1:]} == {SubtaskState.SKIPPED}
                assert run.plan.subtasks[-1] == subtask_of(names[-1], f"result = '{lease.run_id}'")

    asyncio.run(scenario())


def test_a_plan_grows_to_its_full_size_one_by_one(opened: Opened, new_run: NewRuns) -> None:
    more = [subtask_of(f"s{one}", f"result = {one}" + " " * 500) for one in range(MAX_SUBTASKS - 1)]

    async def scenario() -> None:
        async with opened() as store:
            lease = await begin(store, new_run("a"))
            for one in more[:50]:
                await store.runs.commit(lease, [added(one)])
            await asyncio.gather(*(store.runs.commit(lease, [added(one)]) for one in more[50:]))
            run = await store.runs.get(lease.run_id)
            assert list(run.plan.subtasks[1:]) == more
            assert [one.id for one in run.subtasks] == ["a", *(one.id for one in more)]
            with pytest.raises(IllegalTransition, match="at most 1000"):
                await store.runs.commit(lease, [added(subtask_of("last"))])

    asyncio.run(scenario())


def test_the_answer_comes_with_the_end(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run("a"), "me")
            await store.runs.commit(lease, [RUNNING])
            assert (await store.runs.get(lease.run_id)).answer == ""
            await store.runs.commit(lease, [RunChanged(state=RunState.SUCCEEDED, answer="# So it is [a]")])
            run = await store.runs.get(lease.run_id)
            assert (run.state, run.answer) == (RunState.SUCCEEDED, "# So it is [a]")

    asyncio.run(scenario())
