"""A plan on its way from the planner to a run: subtask by subtask, and at last whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from nadg.bootstrap.planners import Planned, Planners
from nadg.domain import events as ev
from nadg.domain.errors import ModelUnavailable, NadgError
from nadg.domain.inputs import InputFile
from nadg.domain.named_limits import NamedLimits, plan_with_limits
from nadg.domain.plan import Plan, Subtask
from nadg.models.call import Account

Found = TypeVar("Found")


@asynccontextmanager
async def cancelled_at_the_end(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Carry it on beside the block; when that ends, whatever is left of it is called off.

    What the work raises ends the block too.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work)
            try:
                yield
            finally:
                task.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def within(seconds: float | None, wait: Awaitable[Found]) -> Found:
    """Raises ModelUnavailable where planning takes longer than the whole run may."""
    try:
        async with asyncio.timeout(seconds):
            return await wait
    except TimeoutError:
        raise ModelUnavailable(f"the run's time limit of {seconds:g} s was reached while it was planned") from None


class PlannedRunLoop(Protocol):
    """Who carries out a run that is still being planned."""

    def tell(self, event: ev.SubtasksPlanned | ev.PlanFinished | ev.PlanningFailed) -> None: ...


class PlanStream:
    """A PlanListener that keeps what is planned until somebody takes it.

    `first` tells what there is to begin with, `feed` takes the rest to a run.
    """

    def __init__(self, planners: Planners, default_limits: NamedLimits) -> None:
        self._planners, self._limits = planners, default_limits
        self._coming: asyncio.Queue[Subtask | Planned | NadgError] = asyncio.Queue()

    def planned(self, subtask: Subtask) -> None:
        """Called by the planner."""
        limited = plan_with_limits(Plan(subtasks=(subtask,)), self._limits)
        self._coming.put_nowait(limited.subtasks[0])

    async def plan(self, command: str, inputs: Sequence[InputFile], account: Account) -> None:
        """Have it planned; what goes wrong is told to whoever takes the plan."""
        try:
            planned = await self._planners.plan(command, inputs, account, self)
        except NadgError as error:
            self._coming.put_nowait(error)
            return
        plan = plan_with_limits(planned.plan, self._limits)
        self._coming.put_nowait(Planned(plan=plan, planner=planned.planner))

    async def first(self) -> Subtask | Planned:
        """A subtask to begin with, or the whole plan where that came at once. Raises what planning raised."""
        item = await self._coming.get()
        if isinstance(item, NadgError):
            raise item
        return item

    def _all_planners(self, last: str) -> str:
        """Who planned, where another than the model that began had to end it."""
        writer = self._planners.writer
        return last if writer in (None, last) else f"{writer}, then {last}"

    async def feed(self, run: PlannedRunLoop, whole: Callable[[Plan], None]) -> None:
        """Tell a run that began with the first subtask how its plan goes on, then `whole` what it is."""
        while True:
            match await self._coming.get():
                case Planned(plan=plan, planner=planner):
                    run.tell(ev.PlanFinished(plan=plan, planner=self._all_planners(planner)))
                    whole(plan)
                    return
                case NadgError() as error:
                    run.tell(ev.PlanningFailed(reason=str(error)))
                    return
                case subtask:
                    run.tell(ev.SubtasksPlanned(subtasks=(subtask,)))


async def plan_anew(
    run: PlannedRunLoop,
    command: str,
    inputs: Sequence[InputFile],
    planners: Planners,
    account: Account,
    default_limits: NamedLimits,
) -> None:
    """Plan a run whole whose master went while its plan was still being written, and tell it."""
    try:
        planned = await planners.plan(command, inputs, account)
    except NadgError as error:
        run.tell(ev.PlanningFailed(reason=str(error)))
        return
    plan = plan_with_limits(planned.plan, default_limits)
    run.tell(ev.PlanFinished(plan=plan, planner=planned.planner))
