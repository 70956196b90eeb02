"""The loop of one run: take what happened, decide, store it, then act on it.

Events that arrive while a group is being stored form the next group, so the busier the run, the larger
its transactions. Nothing is dispatched before the change that announces it is stored, and no outcome is
given up by who keeps it before it is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.blob import Blobs
from nadg.domain.changes import Change
from nadg.domain.clock import Clock
from nadg.domain.errors import LeaseLost
from nadg.domain.run import Lease, NewRun
from nadg.domain.skill import SkillSpec
from nadg.engines.protocol import Engine
from nadg.orchestrator.decide import decide
from nadg.orchestrator.effects import Effects
from nadg.orchestrator.hedge_watch import HedgeWatch
from nadg.orchestrator.lease_keeping import LeaseStore, keep_lease, watch_cancellation, watch_deadline
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.model_work import ModelWork
from nadg.orchestrator.progress import RunProgress, create_progress
from nadg.orchestrator.reuse import OutcomeStore, Reuse

BUSY_IN_FLIGHT = 32
"""With so many attempts under way, events are let gather for a moment: fewer, larger transactions."""
BUSY_GATHER_SECONDS = 0.02


class RunStore(LeaseStore, OutcomeStore, Protocol):
    """What the loop needs of the store."""

    async def commit(self, lease: Lease, changes: Sequence[Change]) -> int: ...

    async def request_cancel(self, run_id: str, reason: str) -> bool: ...


class RunWatcher(Protocol):
    """Who is told of a run's progress, after it is stored. Must not block."""

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class RunLoop:
    """Carries one run to its end, from its first event or from where another owner left it.

    `recovered` is where that was, and `created_at` when the run was made: its time limit counts from then.
    `run` may be awaited once.
    """

    def __init__(
        self,
        new: NewRun,
        lease: Lease,
        *,
        store: RunStore,
        engine: Engine,
        blobs: Blobs,
        clock: Clock,
        skills: Mapping[str, SkillSpec],
        watcher: RunWatcher,
        lease_seconds: float = 15.0,
        models: ModelAccess | None = None,
        recovered: RunProgress | None = None,
        created_at: datetime.datetime | None = None,
    ) -> None:
        self._new, self._lease = new, lease
        self._store, self._engine, self._clock = store, engine, clock
        self._watcher = watcher
        self._lease_seconds, self._created_at = lease_seconds, created_at
        self._left = asyncio.Event()
        self._mailbox: asyncio.Queue[ev.Event] = asyncio.Queue()
        self._mailbox.put_nowait(ev.RunStarted() if recovered is None else ev.RunResumed())
        self._progress = recovered or create_progress(new.id, new.plan, new.options, skills, planning=new.planning)
        self._hedging = HedgeWatch(
            self._progress, clock, free_slots=engine.free_slots, tell=self._mailbox.put_nowait
        )
        self._models = None
        if models is not None:
            self._models = ModelWork(models, new.command, blobs, clock, self._mailbox.put_nowait)
        inputs = tuple(file.ref for file in new.inputs)
        self._reuse = Reuse(store, engine.environments, blobs, inputs)
        self._effects = Effects(
            self._progress,
            term=lease.term,
            engine=engine,
            sink=self,
            inputs=inputs,
            blobs=blobs,
            clock=clock,
            models=self._models,
            post=self._mailbox.put_nowait,
        )

    def cancel(self, reason: str) -> None:
        """Ask the run to end; what is done is kept. Harmless after its end."""
        self._mailbox.put_nowait(ev.CancelRequested(reason=reason))

    def let_go(self) -> None:
        """Leave the run to other masters as it stands: `run` raises LeaseLost. Harmless after its end."""
        self._left.set()

    def tell(self, event: ev.SubtasksPlanned | ev.PlanFinished | ev.PlanningFailed) -> None:
        """How the plan of a run that is still being planned goes on. Harmless after the run's end."""
        self._mailbox.put_nowait(event)

    def event(self, event: ev.AttemptEvent) -> None:
        """Called by the engine."""
        self._hedging.heard(event)
        self._mailbox.put_nowait(event)

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        """Called by the engine."""
        self._watcher.output(self._new.id, attempt_id, stream, text)

    async def run(self) -> RunProgress:
        """Run to the end. Raises LeaseLost where another master took the run over: what ran is left to it."""
        try:
            await self._run_to_the_end()
        except LeaseLost:
            self._engine.abandon(self._not_ended())
            raise
        except BaseException:
            await self._call_everything_off()
            raise
        self._engine.acknowledge(tuple(self._progress.outrun))  # cancelled, and not waited for
        return self._progress

    async def _run_to_the_end(self) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                if self._models is not None:
                    await stack.enter_async_context(self._models.prompts)
                tasks = await stack.enter_async_context(asyncio.TaskGroup())
                companions = self._start_companions(tasks)
                while not self._progress.ended:
                    await self._turn(await self._next_events(), tasks)
                for companion in companions:
                    companion.cancel()
                self._effects.stop_asking()
        except* Exception as group:  # noqa: BLE001  # the loop is the edge: its first failure is the run's
            raise _cause(group) from None

    def _start_companions(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """What goes on beside the turns; a lost lease ends the group, even while the run waits for events."""
        return [
            tasks.create_task(keep_lease(self._store, self._lease, self._lease_seconds)),
            tasks.create_task(watch_cancellation(self._store, self._new.id, self.cancel)),
            tasks.create_task(self._leave_when_told()),
            tasks.create_task(watch_deadline(self._new.options, self._created_at, self._clock, self._fail)),
            tasks.create_task(self._hedging.watch()),
        ]

    async def _leave_when_told(self) -> None:
        await self._left.wait()
        raise LeaseLost(f"run {self._new.id} was given up by its master")

    async def _next_events(self) -> list[ev.Event]:
        events = [await self._mailbox.get()]
        if len(self._progress.in_flight) >= BUSY_IN_FLIGHT:
            await asyncio.sleep(BUSY_GATHER_SECONDS)
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                events.append(self._mailbox.get_nowait())
        return events

    async def _turn(self, events: list[ev.Event], tasks: asyncio.TaskGroup) -> None:
        """One group: decide all, store all, then act."""
        await self._note_cancellation(events)
        changes, commands = self._decide(events)
        if changes:
            await self._store.commit(self._lease, changes)
        self._engine.acknowledge(_finished_attempts(events))
        for change in changes:
            self._watcher.changed(self._new.id, change)
        reused = await self._reuse.look_up(self._progress, commands)
        for command in commands:
            if isinstance(command, cmd.Dispatch) and command.attempt_id in reused:
                self._mailbox.put_nowait(reused[command.attempt_id])
            else:
                await self._effects.carry_out(command, tasks)
        self._effects.end_vain_mending()

    def _decide(self, events: Sequence[ev.Event]) -> tuple[list[Change], list[cmd.Command]]:
        """All that follows from the events, including what follows from that at once."""
        changes: list[Change] = []
        commands: list[cmd.Command] = []
        waiting = deque(events)
        while waiting:
            decision = decide(self._progress, waiting.popleft())
            changes.extend(decision.changes)
            for command in decision.commands:
                following = self._effects.at_once(command)
                if following is None:
                    commands.append(command)
                else:
                    waiting.append(following)
        return changes, commands

    async def _note_cancellation(self, events: Sequence[ev.Event]) -> None:
        """Whoever goes on with this run shall know that it was being cancelled, not failing."""
        for event in events:
            if isinstance(event, ev.CancelRequested) and not event.failed and self._progress.stopping is None:
                await self._store.request_cancel(self._new.id, event.reason)
                return

    def _fail(self, reason: str) -> None:
        self._mailbox.put_nowait(ev.CancelRequested(reason=reason, failed=True))

    async def _call_everything_off(self) -> None:
        """Leave nothing at the engine, where nobody is known to go on."""
        left = self._not_ended()
        for attempt_id in left:
            await self._effects.cancel(attempt_id)
        self._engine.abandon(left)

    def _not_ended(self) -> tuple[str, ...]:
        """Attempts whose end may not be in store: that of those that were outrun may have been decided only."""
        return (*self._progress.in_flight, *self._progress.outrun)


def _cause(group: BaseExceptionGroup[Exception]) -> BaseException:
    """A lost lease, whatever else went wrong then; else what went wrong first."""
    lost = (error for error in group.exceptions if isinstance(error, LeaseLost))
    return next(lost, group.exceptions[0])


def _finished_attempts(events: Sequence[ev.Event]) -> list[str]:
    """Attempts whose end was told: it is in store now, or another end of the attempt was there before."""
    return [one.attempt_id for one in events if isinstance(one, ev.AttemptFinished)]
