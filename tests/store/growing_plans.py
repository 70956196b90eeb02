"""Runs whose plan is still written, and the changes that write it, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec.structs import replace

from nadg.domain.changes import (
    Change,
    CodeChanged,
    PlannedSubtask,
    PlanSettled,
    RunChanged,
    SubtaskChanged,
    SubtaskRedefined,
    SubtasksAdded,
)
from nadg.domain.plan import PythonWork, Subtask
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import RunState, SubtaskState
from nadg.store import SqlStore

Opened = Callable[[], AbstractAsyncContextManager[SqlStore]]
NewRuns = Callable[..., NewRun]

RUNNING = RunChanged(state=RunState.RUNNING)
SETTLED = PlanSettled(goal="all of it", answer="a")


def subtask_of(subtask_id: str, code: str = "result = 1", title: str = "") -> Subtask:
    return Subtask(id=subtask_id, title=title, work=PythonWork(kind="python", code=code))


def planned(*subtasks: Subtask) -> tuple[PlannedSubtask, ...]:
    return tuple(
        PlannedSubtask(id=one.id, title=one.title, document=one.model_dump(mode="json")) for one in subtasks
    )


def added(*subtasks: Subtask) -> SubtasksAdded:
    return SubtasksAdded(subtasks=planned(*subtasks))


def redefined(subtask: Subtask) -> SubtaskRedefined:
    return SubtaskRedefined(subtask=planned(subtask)[0])


def mended(subtask_id: str, code: str = "result = 2") -> CodeChanged:
    return CodeChanged(subtask_id=subtask_id, code=code, number=1, reason="it raised")


def moved(subtask_id: str, *states: SubtaskState) -> list[Change]:
    return [SubtaskChanged(subtask_id=subtask_id, state=state) for state in states]


async def begin(store: SqlStore, new: NewRun, *, running: bool = True) -> Lease:
    """A run whose plan is still written."""
    lease = await store.runs.create(replace(new, planning=True), "me")
    if running:
        await store.runs.commit(lease, [RUNNING])
    return lease


async def together(store: SqlStore, other: NewRun, *commits: tuple[Lease, Sequence[Change]]) -> Sequence[object]:
    """The answers to commits that waited together while another was written."""
    lease = await store.runs.create(other, "other")
    asked = [store.runs.commit(lease, []), *(store.runs.commit(*commit) for commit in commits)]
    return (await asyncio.gather(*asked, return_exceptions=True))[1:]
