"""Mending that nobody waits for any more is given up, and paid for no further."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nadg.domain import events as ev
from nadg.domain.assignment import Assignment, Code
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Plan
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState
from nadg.engines.fake import Say, create_fake_outcome
from nadg.models.call import Account, ModelCall, Reply, TextSink
from nadg.models.fake_door import FakeDoor
from tests.orchestrator.test_loop_with_models import CLOCK, Stage, python
from tests.orchestrator.test_loop_with_models import on_stage as on_stage


class HeldDoor(FakeDoor):
    """Never answers; says when it is asked and when the question is given up."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked, self.given_up = asyncio.Event(), asyncio.Event()

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()
        raise AssertionError


def test_mending_ends_where_the_finished_plan_does_without_the_subtask(on_stage: Callable[..., None]) -> None:
    """The subtask that the finished plan has instead lasts until the question is given up."""

    async def body(stage: Stage) -> None:
        stage.door = door
        loop = await stage.loop(Plan(subtasks=(python("a", "bad"),)), RunOptions(max_repairs=2), planning=True)

        async def finish() -> None:
            await door.asked.wait()
            loop.tell(ev.PlanFinished(plan=Plan(subtasks=(python("b"),))))

        async with asyncio.TaskGroup() as group:
            group.create_task(finish())
            progress = await loop.run()
        assert progress.state is RunState.SUCCEEDED

    async def carry(assignment: Assignment, say: Say) -> Outcome:
        if isinstance(assignment.job, Code) and assignment.job.code == "bad":
            return create_fake_outcome(assignment, CLOCK, kind="failed", reason="NameError: bad")
        await door.given_up.wait()
        return create_fake_outcome(assignment, CLOCK)

    door = HeldDoor()
    on_stage(body, carry=carry)
