"""One attempt of prompt work: its questions, what becomes of their answers, and of the lack of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from nadg.domain.blob import Blobs, Value
from nadg.domain.clock import Clock
from nadg.domain.errors import (
    AnswerUnfit,
    BudgetSpent,
    ContentBlocked,
    ModelRefused,
    ModelUnavailable,
    NadgError,
    UserError,
)
from nadg.domain.events import AttemptFinished, AttemptLost, AttemptStarted
from nadg.domain.model_calls import ModelUsage
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.worker import MASTER
from nadg.engines.protocol import AttemptSink
from nadg.models.call import ModelCall, Reply, Turn
from nadg.models.data_block import data_block
from nadg.models.json_answer import parse_json
from nadg.models.json_schema import schema_problem
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.prompt_parts import FAILED, PromptAssignment, create_call, item_blocks, shared_blocks
from nadg.orchestrator.values import store_value

NOTED_ITEMS = 5
_EMPTY = "word the prompt otherwise, or name another model (--model)"
_UNFIT = "Your answer cannot be used. Answer again, with nothing but the JSON; what is wrong with it:"


class PromptAttempt:
    """One attempt under way."""

    def __init__(
        self,
        assignment: PromptAssignment,
        sink: AttemptSink,
        access: ModelAccess,
        room: asyncio.Semaphore,
        blobs: Blobs,
        clock: Clock,
    ) -> None:
        self.assignment, self._sink, self._access = assignment, sink, access
        self._room, self._blobs, self._clock = room, blobs, clock
        self._began = clock.now()
        self._started = False
        self._usage = ModelUsage()
        self._cut_off: list[tuple[int, str]] = []
        """Text answers that end early: of which item, and why."""

    async def carry(self) -> None:
        """Ask, and report what came of it. Raises BudgetSpent and ModelUnavailable, which concern others too."""
        try:
            items = await asyncio.to_thread(item_blocks, self.assignment.piece, self._blobs)
            shared = await asyncio.to_thread(shared_blocks, self.assignment, self._blobs)
            if items is None:
                result = await self._ask(shared)
                outcome = self._outcome("succeeded", result=result, notes=[why for _, why in self._cut_off])
            else:
                outcome = await self._ask_each(items, shared)
        except (BudgetSpent, ModelUnavailable):
            raise
        except (NadgError, OSError) as error:
            outcome = self._outcome("failed", reason=str(error))
        self._finish(outcome)

    def crash(self, reason: str) -> None:
        """Report that its provider failed it, with what it took: it is tried again."""
        self._finish(self._outcome("crashed", reason=reason))

    def _finish(self, outcome: Outcome) -> None:
        self._sink.event(AttemptFinished(attempt_id=self.assignment.attempt_id, outcome=outcome))

    def lose(self, reason: str) -> None:
        """Report that nothing came of it."""
        at = self._clock.now()
        self._sink.event(AttemptLost(attempt_id=self.assignment.attempt_id, worker=MASTER, reason=reason, at=at))

    async def _ask_each(self, items: Sequence[str | UserError], shared: Sequence[str]) -> Outcome:
        """All items, as many at a time as there is room; one that fails fails alone."""
        first: int = getattr(self.assignment.piece, "first", 0)
        answers = await self._answers(items, first, shared)
        results: list[Any] = []
        failures: list[str] = []
        for place, answer in enumerate(answers, start=first):
            if isinstance(answer, (ContentBlocked, AnswerUnfit)) or _is_too_long(answer):
                failures.append(f"item {place} has no answer: {answer}")
                answer = {FAILED: str(answer)}
            elif isinstance(answer, BaseException):
                raise _worst(answers) from None
            results.append(answer)
        cut_off = [f"item {place}: {why}" for place, why in sorted(self._cut_off)]
        notes = [*_noted(failures, "have no answer"), *_noted(cut_off, "have an answer that was cut off")]
        return self._outcome("succeeded", result=results, per_item=True, notes=notes)

    async def _answers(self, items: Sequence[str | UserError], first: int, shared: Sequence[str]) -> list[Any]:
        """An answer to each item, or what went wrong with it; where that concerns all, no more are asked."""
        answers: list[Any] = [None] * len(items)
        waiting = iter(enumerate(items))
        over = False

        async def ask_on() -> None:
            nonlocal over
            for index, item in waiting:
                try:
                    answers[index] = await self._ask_about(first + index, item, shared)
                except (NadgError, OSError) as error:
                    answers[index] = error
                    over = over or isinstance(error, (BudgetSpent, ModelRefused))
                if over:
                    return

        await asyncio.gather(*(ask_on() for _ in range(min(len(items), self._access.concurrency))))
        return answers

    async def _ask_about(self, place: int, item: str | UserError, shared: Sequence[str]) -> Any:
        if isinstance(item, UserError):
            raise item
        return await self._ask([*shared, item], place)

    async def _ask(self, blocks: Sequence[str], place: int = 0) -> Any:
        """The answer to one question, as a value. Raises the errors of `Door.ask`, and UserError."""
        schema = self.assignment.work.output_schema
        async with self._room:
            call = create_call(self.assignment, blocks, schema)
            self._say_started()
            if schema is None:
                return await self._text(call, place)
            return await self._fitting(call, schema)

    async def _text(self, call: ModelCall, place: int) -> str:
        """A text that says something; where there is none, it is asked for once more."""
        reply = await self._answer(call)
        if not reply.text.strip():
            await self._access.door.reject(reply)
            reply = await self._answer(call)
        if not reply.text.strip():
            await self._access.door.reject(reply)
            raise AnswerUnfit(f"the answer of {reply.model} is empty; {_EMPTY}")
        if reply.cut_off:
            self._cut_off.append((place, reply.cut_off))
        return reply.text.strip()

    async def _fitting(self, call: ModelCall, schema: dict[str, Any]) -> Any:
        """An answer of the wanted shape; where the first has another, it is asked for once more."""
        reply = await self._answer(call)
        value, problem = _checked(reply.text, schema)
        if problem:
            await self._access.door.reject(reply)
            reply = await self._answer(_again(call, reply.text, problem))
            value, problem = _checked(reply.text, schema)
        if problem:
            await self._access.door.reject(reply)
            raise AnswerUnfit(problem)
        return value

    async def _answer(self, call: ModelCall) -> Reply:
        reply = await self._access.door.ask(call, self._access.account)
        self._usage = self._usage.plus(reply.usage)
        self._sink.output(self.assignment.attempt_id, "stdout", reply.text.rstrip("\n") + "\n")
        return reply

    def _say_started(self) -> None:
        if not self._started:
            self._started = True
            self._began = self._clock.now()
            self._sink.event(AttemptStarted(attempt_id=self.assignment.attempt_id, worker=MASTER, at=self._began))

    def _outcome(
        self,
        kind: OutcomeKind,
        *,
        result: Any = None,
        per_item: bool = False,
        reason: str = "",
        notes: Sequence[str] = (),
    ) -> Outcome:
        succeeded = kind == "succeeded"
        return Outcome(
            kind=kind,
            receipt=self._receipt(),
            reason=reason,
            result=store_value(msgspec.json.encode(result), self._blobs) if succeeded else None,
            per_item=per_item,
            notes=tuple(notes),
        )

    def _receipt(self) -> Receipt:
        asked = self.assignment
        hashes = {file.name: file.blob.sha256 for file in asked.inputs}
        hashes |= {name: value.sha256 for name, value in asked.needs.items() if isinstance(value, Value)}
        return Receipt(
            worker=MASTER,
            sandbox_tier=None,
            code_sha256=hashlib.sha256(asked.work.model_dump_json().encode()).hexdigest(),
            input_sha256s=hashes,
            started_at=self._began,
            finished_at=self._clock.now(),
            model_usage=self._usage,
        )


def _noted(notes: Sequence[str], what: str) -> list[str]:
    more = len(notes) - NOTED_ITEMS
    return [*notes[:NOTED_ITEMS], *([f"{more} more items {what}"] if more > 0 else [])]


def _checked(text: str, schema: dict[str, Any]) -> tuple[Any, str]:
    """The value of an answer, and what is wrong with it."""
    try:
        value = parse_json(text)
    except ValueError as error:
        return None, f"the answer is no JSON ({error})"
    try:
        return value, schema_problem(value, schema)
    except ValueError as error:
        raise UserError(str(error)) from error


def _again(call: ModelCall, text: str, problem: str) -> ModelCall:
    turns = (
        *call.turns,
        Turn(role="model", text=text),
        Turn(role="user", text=f"{_UNFIT}\n{data_block('problem', problem)}"),
    )
    return msgspec.structs.replace(call, turns=turns)


def _is_too_long(answer: object) -> bool:
    """A single item that cannot be asked for: not a refusal of the provider, which would meet every item."""
    return isinstance(answer, UserError) and not isinstance(answer, ModelRefused)


def _worst(answers: Sequence[object]) -> BaseException:
    """What to tell of several failures: a spent budget ends the run, a refusal the subtask, others come again."""
    failures = [one for one in answers if isinstance(one, BaseException)]
    order = (BudgetSpent, ModelRefused, ModelUnavailable)
    return next((one for kind in order for one in failures if isinstance(one, kind)), failures[0])
