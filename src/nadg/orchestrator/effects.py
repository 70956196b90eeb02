"""Carries out what was decided, once it is stored: each command ends in an event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Whole
from nadg.domain.blob import Blobs, FileRef
from nadg.domain.clock import Clock
from nadg.domain.errors import ModelUnavailable, UserError
from nadg.domain.model_names import PROMPTS_NEED_A_MODEL
from nadg.domain.plan import PromptWork
from nadg.domain.states import is_final
from nadg.engines.protocol import AttemptSink, Engine
from nadg.orchestrator.assignments import build_assignment, build_prompt
from nadg.orchestrator.gather import gather_result, is_single, single_part
from nadg.orchestrator.model_work import ModelWork
from nadg.orchestrator.pieces import prepare_pieces
from nadg.orchestrator.progress import RunProgress, SubtaskProgress


class Effects:
    """What one run asks of the engine, the blobs and the models; `post` is told what came of it."""

    def __init__(
        self,
        progress: RunProgress,
        *,
        term: int,
        engine: Engine,
        sink: AttemptSink,
        inputs: tuple[FileRef, ...],
        blobs: Blobs,
        clock: Clock,
        models: ModelWork | None,
        post: Callable[[ev.Event], None],
    ) -> None:
        self._progress, self._term, self._engine, self._sink = progress, term, engine, sink
        self._inputs, self._blobs, self._clock, self._models = inputs, blobs, clock, models
        self._post = post
        self._questions: set[asyncio.Task[None]] = set()
        """What models were asked that the run may end without."""
        self._mending: dict[str, asyncio.Task[None]] = {}

    def at_once(self, command: cmd.Command) -> ev.Event | None:
        """The event a command ends in, where knowing it takes no work."""
        match command:
            case cmd.PrepareShards(subtask_id=one, definition=at) if self._subtask(one).spec.foreach is None:
                return ev.ShardsPrepared(subtask_id=one, pieces=(Whole(),), definition=at)
            case cmd.GatherResult(subtask_id=one, definition=at) if is_single(self._subtask(one)):
                part = single_part(self._subtask(one))
                return ev.ResultGathered(subtask_id=one, result=part.result, artifacts=part.files, definition=at)
            case _:
                return None

    async def carry_out(self, command: cmd.Command, tasks: asyncio.TaskGroup) -> None:
        """Begin it; what takes long is done in a task of its own."""
        match command:
            case cmd.Dispatch() | cmd.AdoptAttempt():
                await self._hand_over(command)
            case cmd.CancelAttempt(attempt_id=attempt_id):
                await self.cancel(attempt_id)
            case (
                cmd.PrepareShards(subtask_id=one, definition=at) | cmd.GatherResult(subtask_id=one, definition=at)
            ):
                subtask = self._subtask(one)
                if subtask.definition == at:  # else it was planned anew in the same group
                    work = self._prepare if isinstance(command, cmd.PrepareShards) else self._gather
                    tasks.create_task(work(subtask))
            case cmd.MendCode() if self._models is not None:
                mending = tasks.create_task(self._models.mend(self._subtask(command.subtask_id).spec, command))
                self._questions.add(mending)
                self._mending[command.subtask_id] = mending
            case cmd.ComposeAnswer() if self._models is not None:
                self._questions.add(tasks.create_task(self._models.compose(self._progress)))
            case _:
                raise ModelUnavailable("no language model is configured, but the run's options ask for one")

    async def cancel(self, attempt_id: str) -> None:
        """Stop an attempt, whoever carries it."""
        await self._engine.cancel(attempt_id)
        if self._models is not None:
            await self._models.prompts.cancel(attempt_id)

    def end_vain_mending(self) -> None:
        """Code of a subtask that ended, or that was planned anew, need not be mended, nor paid for."""
        for subtask_id in tuple(self._mending):
            subtask = self._subtask(subtask_id)
            if not subtask.mending or is_final(subtask.state):
                self._mending.pop(subtask_id).cancel()

    def stop_asking(self) -> None:
        """The run is over: no model needs to answer any more."""
        for question in self._questions:
            question.cancel()

    async def _hand_over(self, command: cmd.Dispatch | cmd.AdoptAttempt) -> None:
        """Give an attempt to who carries it. An attempt of prompt work ended with the master that carried it."""
        subtask = self._subtask(command.subtask_id)
        is_prompt = isinstance(subtask.spec.work, PromptWork)
        called_off = subtask.called_off(command.shard_index)
        if called_off and (is_prompt or isinstance(command, cmd.Dispatch)):
            self._lose(command.attempt_id, "called off before it was sent")
            return
        try:
            if is_prompt:
                await self._ask_model(command)
            else:
                await self._give_to_engine(command)
        except UserError as error:
            if not called_off:
                self._post(
                    ev.PrepareFailed(subtask_id=subtask.spec.id, reason=str(error), definition=subtask.definition)
                )
            self._lose(command.attempt_id, str(error))

    async def _give_to_engine(self, command: cmd.Dispatch | cmd.AdoptAttempt) -> None:
        assignment = build_assignment(self._progress, command, self._inputs, self._term)
        if isinstance(command, cmd.AdoptAttempt):
            await self._engine.adopt(assignment, self._sink, command.worker)
        else:
            await self._engine.submit(assignment, self._sink)

    async def _ask_model(self, command: cmd.Dispatch | cmd.AdoptAttempt) -> None:
        assignment = build_prompt(self._progress, command, self._inputs)
        if self._models is None:
            raise UserError(PROMPTS_NEED_A_MODEL)
        await self._models.prompts.submit(assignment, self._sink)

    def _lose(self, attempt_id: str, reason: str) -> None:
        self._post(ev.AttemptLost(attempt_id=attempt_id, worker="", reason=reason, at=self._clock.now()))

    async def _prepare(self, subtask: SubtaskProgress) -> None:
        event: ev.Event
        try:
            pieces = await asyncio.to_thread(prepare_pieces, self._progress, subtask, self._inputs, self._blobs)
            event = ev.ShardsPrepared(subtask_id=subtask.spec.id, pieces=pieces, definition=subtask.definition)
        except (UserError, OSError) as error:
            event = ev.PrepareFailed(subtask_id=subtask.spec.id, reason=str(error), definition=subtask.definition)
        self._post(event)

    async def _gather(self, subtask: SubtaskProgress) -> None:
        event: ev.Event
        try:
            result, artifacts = await asyncio.to_thread(gather_result, subtask, self._blobs)
            event = ev.ResultGathered(
                subtask_id=subtask.spec.id, result=result, artifacts=artifacts, definition=subtask.definition
            )
        except (UserError, OSError) as error:
            event = ev.GatherFailed(subtask_id=subtask.spec.id, reason=str(error), definition=subtask.definition)
        self._post(event)

    def _subtask(self, subtask_id: str) -> SubtaskProgress:
        return self._progress.subtasks[subtask_id]
