"""The loop of one run: take what happened, decide, store it, then act on it.

Events that arrive while a group is being stored form the next group, so the busier the run, the larger
its transactions. Nothing is dispatched before the change that announces it is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Whole
from nadg.domain.blob import Blobs, FileRef
from nadg.domain.changes import Change
from nadg.domain.clock import Clock
from nadg.domain.errors import ModelUnavailable, UserError
from nadg.domain.model_names import PROMPTS_NEED_A_MODEL
from nadg.domain.plan import PromptWork
from nadg.domain.run import Lease, NewRun
from nadg.domain.skill import SkillSpec
from nadg.domain.states import is_final
from nadg.engines.protocol import Engine
from nadg.orchestrator.assignments import build_assignment, build_prompt
from nadg.orchestrator.decide import decide
from nadg.orchestrator.gather import gather_result, is_single, single_part
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.model_work import ModelWork
from nadg.orchestrator.pieces import prepare_pieces
from nadg.orchestrator.progress import RunProgress, SubtaskProgress, create_progress
from nadg.orchestrator.prompt_parts import PromptAssignment

CANCEL_POLL_SECONDS = 1.0
"""How often the store is asked whether another process wants the run cancelled."""

BUSY_IN_FLIGHT = 32
"""With so many attempts under way, events are let gather for a moment: fewer, larger transactions."""
BUSY_GATHER_SECONDS = 0.02


class RunStore(Protocol):
    """What the loop needs of the store."""

    async def commit(self, lease: Lease, changes: Sequence[Change]) -> int: ...

    async def renew(self, lease: Lease, lease_seconds: float) -> None: ...

    async def cancel_requested(self, run_id: str) -> str | None: ...


class RunWatcher(Protocol):
    """Who is told of a run's progress, after it is stored. Must not block."""

    def changed(self, run_id: str, change: Change) -> None: ...

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...


class RunLoop:
    """Carries one run from its first event to its end. `run` may be awaited once."""

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
    ) -> None:
        self._new, self._lease = new, lease
        self._store, self._engine, self._blobs, self._clock = store, engine, blobs, clock
        self._watcher = watcher
        self._lease_seconds = lease_seconds
        self._inputs: tuple[FileRef, ...] = tuple(file.ref for file in new.inputs)
        self._mailbox: asyncio.Queue[ev.Event] = asyncio.Queue()
        self._mailbox.put_nowait(ev.RunStarted())
        self._progress = create_progress(new.id, new.plan, new.options, skills, planning=new.planning)
        self._companions: list[asyncio.Task[None]] = []
        self._mending: dict[str, asyncio.Task[None]] = {}
        self._models = (
            None if models is None else ModelWork(models, new.command, blobs, clock, self._mailbox.put_nowait)
        )

    def cancel(self, reason: str) -> None:
        """Ask the run to end; what is done is kept. Harmless after its end."""
        self._mailbox.put_nowait(ev.CancelRequested(reason=reason))

    def tell(self, event: ev.SubtasksPlanned | ev.PlanFinished | ev.PlanningFailed) -> None:
        """How the plan of a run that is still being planned goes on. Harmless after the run's end."""
        self._mailbox.put_nowait(event)

    def event(self, event: ev.AttemptEvent) -> None:
        """Called by the engine."""
        self._mailbox.put_nowait(event)

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        """Called by the engine."""
        self._watcher.output(self._new.id, attempt_id, stream, text)

    async def run(self) -> RunProgress:
        """Run to the end. Raises LeaseLost where another master took the run over."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                if self._models is not None:
                    await stack.enter_async_context(self._models.prompts)
                tasks = await stack.enter_async_context(asyncio.TaskGroup())
                self._companions = [
                    tasks.create_task(self._watch_store()),
                    tasks.create_task(self._watch_deadline()),
                ]
                while not self._progress.ended:
                    await self._turn(await self._next_events(), tasks)
                for companion in self._companions:
                    companion.cancel()
        except* Exception as group:  # noqa: BLE001  # the loop is the edge: its first failure is the run's
            raise group.exceptions[0] from None
        finally:
            await self._abandon()
        return self._progress

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
        changes: list[Change] = []
        commands: list[cmd.Command] = []
        waiting = deque(events)
        while waiting:
            decision = decide(self._progress, waiting.popleft())
            changes.extend(decision.changes)
            for command in decision.commands:
                following = self._at_once(command)
                if following is None:
                    commands.append(command)
                else:
                    waiting.append(following)
        if changes:
            await self._store.commit(self._lease, changes)
        for change in changes:
            self._watcher.changed(self._new.id, change)
        for command in commands:
            await self._carry_out(command, tasks)
        self._end_vain_mending()

    def _end_vain_mending(self) -> None:
        """Code of a subtask that ended, or that was planned anew, need not be mended, nor paid for."""
        for subtask_id in tuple(self._mending):
            subtask = self._subtask(subtask_id)
            if not subtask.mending or is_final(subtask.state):
                self._mending.pop(subtask_id).cancel()

    def _at_once(self, command: cmd.Command) -> ev.Event | None:
        """The event a command ends in, where knowing it takes no work."""
        match command:
            case cmd.PrepareShards(subtask_id=one, definition=at) if self._subtask(one).spec.foreach is None:
                return ev.ShardsPrepared(subtask_id=one, pieces=(Whole(),), definition=at)
            case cmd.GatherResult(subtask_id=one, definition=at) if is_single(self._subtask(one)):
                part = single_part(self._subtask(one))
                return ev.ResultGathered(subtask_id=one, result=part.result, artifacts=part.files, definition=at)
            case _:
                return None

    async def _carry_out(self, command: cmd.Command, tasks: asyncio.TaskGroup) -> None:
        match command:
            case cmd.Dispatch():
                await self._dispatch(command)
            case cmd.CancelAttempt(attempt_id=attempt_id):
                await self._cancel(attempt_id)
            case (
                cmd.PrepareShards(subtask_id=one, definition=at) | cmd.GatherResult(subtask_id=one, definition=at)
            ):
                subtask = self._subtask(one)
                if subtask.definition == at:  # else it was planned anew in the same group
                    work = self._prepare if isinstance(command, cmd.PrepareShards) else self._gather
                    tasks.create_task(work(subtask))
            case cmd.MendCode() if self._models is not None:
                mending = tasks.create_task(self._models.mend(self._subtask(command.subtask_id).spec, command))
                self._companions.append(mending)
                self._mending[command.subtask_id] = mending
            case cmd.ComposeAnswer() if self._models is not None:
                self._companions.append(tasks.create_task(self._models.compose(self._progress)))
            case _:
                raise ModelUnavailable("no language model is configured, but the run's options ask for one")

    async def _cancel(self, attempt_id: str) -> None:
        await self._engine.cancel(attempt_id)
        if self._models is not None:
            await self._models.prompts.cancel(attempt_id)

    async def _dispatch(self, command: cmd.Dispatch) -> None:
        subtask = self._subtask(command.subtask_id)
        if subtask.called_off(command.shard_index):  # in the very group that dispatched it
            self._lose(command.attempt_id, "called off before it was sent")
            return
        try:
            if isinstance(subtask.spec.work, PromptWork):
                await self._ask_model(build_prompt(self._progress, command, self._inputs))
            else:
                await self._engine.submit(build_assignment(self._progress, command, self._inputs), self)
        except UserError as error:
            self._mailbox.put_nowait(
                ev.PrepareFailed(subtask_id=subtask.spec.id, reason=str(error), definition=subtask.definition)
            )
            self._lose(command.attempt_id, str(error))

    def _lose(self, attempt_id: str, reason: str) -> None:
        self._mailbox.put_nowait(
            ev.AttemptLost(attempt_id=attempt_id, worker="", reason=reason, at=self._clock.now())
        )

    async def _ask_model(self, assignment: PromptAssignment) -> None:
        if self._models is None:
            raise UserError(PROMPTS_NEED_A_MODEL)
        await self._models.prompts.submit(assignment, self)

    async def _prepare(self, subtask: SubtaskProgress) -> None:
        event: ev.Event
        try:
            pieces = await asyncio.to_thread(prepare_pieces, self._progress, subtask, self._inputs, self._blobs)
            event = ev.ShardsPrepared(subtask_id=subtask.spec.id, pieces=pieces, definition=subtask.definition)
        except (UserError, OSError) as error:
            event = ev.PrepareFailed(subtask_id=subtask.spec.id, reason=str(error), definition=subtask.definition)
        self._mailbox.put_nowait(event)

    async def _gather(self, subtask: SubtaskProgress) -> None:
        event: ev.Event
        try:
            result, artifacts = await asyncio.to_thread(gather_result, subtask, self._blobs)
            event = ev.ResultGathered(
                subtask_id=subtask.spec.id, result=result, artifacts=artifacts, definition=subtask.definition
            )
        except (UserError, OSError) as error:
            event = ev.GatherFailed(subtask_id=subtask.spec.id, reason=str(error), definition=subtask.definition)
        self._mailbox.put_nowait(event)

    async def _watch_store(self) -> None:
        """Keep the lease, and notice a cancellation asked for in another process."""
        since_renewal = 0.0
        while True:
            await asyncio.sleep(CANCEL_POLL_SECONDS)
            reason = await self._store.cancel_requested(self._new.id)
            if reason is not None:
                self.cancel(reason)
            since_renewal += CANCEL_POLL_SECONDS
            if since_renewal >= self._lease_seconds / 3:
                since_renewal = 0.0
                await self._store.renew(self._lease, self._lease_seconds)

    async def _watch_deadline(self) -> None:
        seconds = self._new.options.timeout_seconds
        if seconds is not None:
            await asyncio.sleep(seconds)
            reason = f"the run's time limit of {seconds:g} s was reached"
            self._mailbox.put_nowait(ev.CancelRequested(reason=reason, failed=True))

    async def _abandon(self) -> None:
        """Leave nothing at the engine, however the loop ended."""
        for attempt_id in tuple(self._progress.in_flight):
            await self._cancel(attempt_id)

    def _subtask(self, subtask_id: str) -> SubtaskProgress:
        return self._progress.subtasks[subtask_id]
