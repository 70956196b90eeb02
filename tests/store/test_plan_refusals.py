"""What a plan that is still written refuses: nothing of it is kept, and nobody beside it is harmed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from nadg.domain.assignment import Whole
from nadg.domain.changes import (
    Change,
    PlannedSubtask,
    PlanSettled,
    RunChanged,
    ShardsAdded,
    SubtaskRedefined,
    SubtasksAdded,
)
from nadg.domain.errors import IllegalTransition, LeaseLost
from nadg.domain.plan import MAX_SUBTASKS, PromptWork, PythonWork, Subtask
from nadg.domain.states import RunState, SubtaskState
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([SETTLED, added(subtask_of("b"))], "its plan is settled, and cannot be added to"),
        ([SETTLED, redefined(subtask_of("a"))], "its plan is settled, and cannot be redefined"),
        ([SETTLED, SETTLED], "its plan is settled, and cannot be settled"),
        ([PlanSettled(goal="", answer="b")], "b is absent from its plan"),
        ([redefined(subtask_of("b"))], "b is absent from its plan"),
        ([redefined(subtask_of("b")), added(subtask_of("b"))], "b is absent from its plan"),
        ([mended("b")], "b is absent from its plan"),
        (
            [redefined(Subtask(id="a", work=PromptWork(kind="prompt", prompt="x"))), mended("a")],
            "no code to mend",
        ),
        ([added(subtask_of("a"))], "unique"),
        ([added(subtask_of("b"), subtask_of("b"))], "unique"),
        ([*moved("b", SubtaskState.SKIPPED), added(subtask_of("b"))], "changed before it is added"),
        (
            [ShardsAdded(subtask_id="b", first=0, pieces=(Whole(),)), added(subtask_of("b"))],
            "changed before it is added",
        ),
        ([added(*(subtask_of(f"s{one}") for one in range(MAX_SUBTASKS)))], f"at most {MAX_SUBTASKS} subtasks"),
    ],
)
def test_what_a_plan_does_not_allow_is_refused_and_harms_nobody_beside_it(
    opened: Opened, new_run: NewRuns, changes: Sequence[Change], said: str
) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease, other = await begin(store, new_run("a")), await begin(store, new_run("a"))
            before = await store.runs.get(lease.run_id)
            refused, *fine = await together(
                store,
                new_run(),
                (lease, changes),
                (lease, [added(subtask_of("z"))]),
                (other, [added(subtask_of("z"))]),
            )
            assert isinstance(refused, IllegalTransition)
            assert said in str(refused) or said in str(refused).lower()
            assert fine == [2, 2]
            run = await store.runs.get(lease.run_id)
            assert run.plan.subtasks == (*before.plan.subtasks, subtask_of("z"))
            assert [one.id for one in run.subtasks] == ["a", "z"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "change",
    [
        SubtasksAdded(
            subtasks=(PlannedSubtask(id="b", title="", document=subtask_of("c").model_dump(mode="json")),)
        ),
        SubtasksAdded(subtasks=(PlannedSubtask(id="b", title="", document={"id": "b"}),)),
        SubtaskRedefined(subtask=PlannedSubtask(id="a", title="", document={"id": "a", "work": "none"})),
        SubtasksAdded(subtasks=(PlannedSubtask(id="b", title="\udc80", document=subtask_of("b").model_dump()),)),
        PlanSettled(goal="x" * 100_001, answer="a"),
        PlanSettled(goal="", answer=""),
        mended("a", ""),
        mended("a", "\udc80"),
    ],
)
def test_what_would_make_a_plan_unreadable_is_refused(opened: Opened, new_run: NewRuns, change: Change) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await begin(store, new_run("a"))
            before = await store.runs.get(lease.run_id)
            with pytest.raises(ValueError):  # noqa: PT011  the words are those of who checks the document
                await store.runs.commit(lease, [change])
            assert await store.runs.get(lease.run_id) == before
            assert len(await store.runs.events_after(lease.run_id, 0)) == 1

    asyncio.run(scenario())


def test_only_a_running_run_redefines(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await begin(store, new_run("a"), running=False)
            with pytest.raises(IllegalTransition, match="a cannot be redefined while the run is planned"):
                await store.runs.commit(lease, [redefined(subtask_of("a")), RUNNING])
            assert await store.runs.commit(lease, [RUNNING, redefined(subtask_of("a", "result = 3"))]) == 2
            assert (await store.runs.get(lease.run_id)).plan.subtasks == (subtask_of("a", "result = 3"),)

    asyncio.run(scenario())


def test_a_run_whose_plan_was_whole_takes_code_and_nothing_else(opened: Opened, new_run: NewRuns) -> None:
    async def scenario() -> None:
        async with opened() as store:
            lease = await store.runs.create(new_run("a"), "me")
            await store.runs.commit(lease, [RUNNING])
            for change in (added(subtask_of("b")), redefined(subtask_of("a")), SETTLED):
                with pytest.raises(IllegalTransition, match="its plan is settled"):
                    await store.runs.commit(lease, [change])
            await store.runs.commit(lease, [mended("a", "result = 5")])
            (part,) = (await store.runs.get(lease.run_id)).plan.subtasks
            assert part.work == PythonWork(kind="python", code="result = 5")

    asyncio.run(scenario())


@pytest.mark.parametrize("change", [added(subtask_of("b")), redefined(subtask_of("a")), SETTLED, mended("a")])
@pytest.mark.parametrize("end", [False, True])
def test_who_lost_the_lease_changes_no_plan(opened: Opened, new_run: NewRuns, change: Change, end: bool) -> None:
    async def scenario() -> None:
        async with opened() as store:
            before = await begin(store, new_run("a"))
            await store.runs.release(before)
            after = await store.runs.claim(before.run_id, "me")
            assert after is not None
            if end:
                await store.runs.commit(after, [RunChanged(state=RunState.CANCELLED)])
            run = await store.runs.get(before.run_id)
            with pytest.raises(LeaseLost):
                await store.runs.commit(before, [change])
            assert await store.runs.get(before.run_id) == run
            if not end:
                answers = await together(store, new_run(), (before, [change]), (after, [change]))
                assert [type(one) for one in answers] == [LeaseLost, int]

    asyncio.run(scenario())
