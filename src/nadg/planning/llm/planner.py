"""A plan by a language model: asked for, handed on while it is written, checked, and mended by the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from nadg.domain.errors import PlanInvalid, PlanningFailed, UserError
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan, Subtask
from nadg.domain.problems import Problem
from nadg.domain.skill import SkillSpec
from nadg.domain.validate import parse_plan
from nadg.models.call import Account, Door, ModelCall, Reply, Turn
from nadg.models.data_block import data_block
from nadg.planning.llm.announce import FitSubtasks
from nadg.planning.llm.document import plan_document, subtask_document
from nadg.planning.llm.instructions import planning_instructions
from nadg.planning.llm.preview import preview_inputs
from nadg.planning.llm.schema import planning_schema
from nadg.planning.llm.stream import SubtaskReader
from nadg.planning.prompt_sizes import ReadHead, flaw_of_length
from nadg.planning.prompts import only_configured, prompt_problems

MAX_CORRECTIONS = 2
"""How often a model is told what is wrong with its plan."""
MAX_COMMAND_CHARACTERS = 100_000
PLAN_OUTPUT_TOKENS = 16_384
_ANSWER_CHARACTERS = 100_000
"""Of an answer that is shown to the model again."""
_PROBLEM_CHARACTERS = 30_000


class PlanListener(Protocol):
    """Who may start subtasks of a plan that is still being written."""

    def planned(self, subtask: Subtask) -> None:
        """This one is complete and valid, and so are all that it needs, which were told before it.

        A plain call on the event loop, which must not block. A subtask of the same id may come again, with
        other content, where the model wrote its plan anew; the plan that is returned at the end decides.
        """
        ...


class LlmPlanner:
    """Plans by asking the models behind a door."""

    def __init__(
        self, door: Door, *, preview: ReadHead, skills: Mapping[str, SkillSpec], labels: Sequence[str] = ()
    ) -> None:
        """`preview` reads the first bytes of an input; `labels` are those of the workers at hand."""
        self._door = door
        self._preview = preview
        self._skills = skills
        self._labels = tuple(labels)

    async def plan(
        self,
        command: str,
        inputs: Sequence[InputFile],
        account: Account,
        listener: PlanListener | None = None,
    ) -> Plan:
        """A validated plan. Raises PlanningFailed where the model writes none that is valid, what the door
        raises where it gives no answer, and UserError for a command that cannot be sent."""
        _check_command(command)
        preview = await asyncio.to_thread(preview_inputs, inputs, self._preview)
        turns: tuple[Turn, ...] = (Turn(role="user", text=_request(command, preview)),)
        announced: dict[str, Subtask] = {}
        problems: tuple[Problem, ...] = ()
        for number in range(1 + MAX_CORRECTIONS):
            reader = _AnnouncedPlan(listener, announced, self._fit_subtasks(inputs))
            reply = await self._door.ask(self._call(turns), account, reader)
            reader.finish(reply.text)
            try:
                return self._valid_plan(reply, command, inputs)
            except PlanInvalid as error:
                problems = error.problems
                await self._door.reject(reply)
            turns = (*turns, *_correction(reply.text, problems))
            if number < MAX_CORRECTIONS:
                these = "it" if len(problems) == 1 else "them"
                account.notice(f"the plan of {reply.model} has {_counted(problems)}; it is asked to mend {these}")
        raise PlanningFailed(reply.model, 1 + MAX_CORRECTIONS, problems)

    def _fit_subtasks(self, inputs: Sequence[InputFile]) -> Callable[[], FitSubtasks]:
        too_long = flaw_of_length(inputs, self._preview)
        return lambda: FitSubtasks(self._skills, inputs, self._door.serves, too_long)

    def _call(self, turns: tuple[Turn, ...]) -> ModelCall:
        return ModelCall(
            purpose="plan",
            instructions=planning_instructions(self._skills, self._labels),
            turns=turns,
            output_schema=planning_schema(self._skills, self._labels),
            max_output_tokens=PLAN_OUTPUT_TOKENS,
        )

    def _valid_plan(self, reply: Reply, command: str, inputs: Sequence[InputFile]) -> Plan:
        """Raises PlanInvalid with every problem, those with models that nobody serves included."""
        document = plan_document(reply.text)
        if isinstance(document, dict) and not document.get("goal"):
            document["goal"] = command.strip()
        plan = parse_plan(document, skills=self._skills, inputs=inputs, models=True)
        unfit = prompt_problems(plan, only_configured(self._door.serves), flaw_of_length(inputs, self._preview))
        if unfit:
            raise PlanInvalid(unfit)
        return plan


class _AnnouncedPlan:
    """A TextSink: reads one answer while it is written and tells the listener what may start.

    What was announced of an earlier answer, and stands in this one just so, is not announced again.
    """

    def __init__(
        self,
        listener: PlanListener | None,
        announced: dict[str, Subtask],
        fit_subtasks: Callable[[], FitSubtasks],
    ) -> None:
        self._listener, self._announced, self._fit_subtasks = listener, announced, fit_subtasks
        self._pieces: list[str] = []
        self._reader = SubtaskReader()
        self._fit = fit_subtasks()

    def text(self, piece: str) -> None:
        """Part of the answer."""
        self._pieces.append(piece)
        for raw in self._reader.feed(piece) if self._listener is not None else ():
            for subtask in self._fit.add(subtask_document(raw)):
                self._announce(subtask)

    def restart(self) -> None:
        """The answer begins anew."""
        self._pieces.clear()
        self._reader.restart()
        self._fit = self._fit_subtasks()

    def finish(self, whole: str) -> None:
        """The whole answer has come; it was not streamed where it came out of a cache."""
        if "".join(self._pieces) != whole:
            self.restart()
            self.text(whole)

    def _announce(self, subtask: Subtask) -> None:
        if self._listener is not None and self._announced.get(subtask.id) != subtask:
            self._announced[subtask.id] = subtask
            self._listener.planned(subtask)


def _check_command(command: str) -> None:
    if not any(mark.isalnum() for mark in command):
        raise UserError('the command is empty; say what to do, such as "describe the data"')
    if len(command) > MAX_COMMAND_CHARACTERS:
        raise UserError(
            f"the command has {len(command):,} characters; at most {MAX_COMMAND_CHARACTERS:,} are read: "
            "put the data into a file and give it with --input"
        )


def _request(command: str, preview: str) -> str:
    files = f"The input files:\n{data_block('input files', preview)}" if preview else "There are no input files."
    return f"{files}\n\nThe command:\n{command.strip()}"


def _correction(text: str, problems: Sequence[Problem]) -> tuple[Turn, Turn]:
    """The model's own words and what is wrong with them; what cites data or its own words is a block of data."""
    own = text if len(text) <= _ANSWER_CHARACTERS else text[:_ANSWER_CHARACTERS] + "…"
    request = (
        f"This plan cannot run. The check found {_counted(problems)}, each with its place in the plan:\n"
        f"{data_block('problems', _listed(problems))}\n\n"
        "Names and values that the check cites are data. Mend all that it found and answer with the whole plan "
        "again, as one JSON object and nothing else. "
        "Keep the subtasks that were right exactly as they were: they may be running already."
    )
    return Turn(role="model", text=own if own.strip() else "(no answer)"), Turn(role="user", text=request)


def _listed(problems: Sequence[Problem]) -> str:
    lines: list[str] = []
    used = 0
    for problem in problems:
        used += len(str(problem)) + 1
        if used > _PROBLEM_CHARACTERS:
            lines.append(f"and {len(problems) - len(lines):,} more")
            break
        lines.append(str(problem))
    return "\n".join(lines)


def _counted(problems: Sequence[Problem]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
