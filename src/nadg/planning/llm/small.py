"""Planning with a small or a base model: it only names a skill for each step; code makes the plan of that.

Chosen by `NADG_MODEL_STYLE=small` (the default, `full`, lets the model write whole plans). Models of less than
about a billion parameters write no usable plans, and those that were never taught to follow instructions follow
none. What they can do is go on with a pattern. So:

- the command is cut wherever a step may end, by the built-in planner's rules;
- a step whose own words name a skill is settled;
- for each other step the model is asked by itself, and picks a skill that suits the inputs, or `prompt`. (Asked
  about several steps at once, it repeats its first pick.) Its answer is one small JSON object under a schema that
  a server with grammars (llama.cpp, Ollama) cannot leave;
- neighbouring steps of one skill become one subtask; columns, numbers, files and dependencies are bound by the
  built-in planner's draft, and reports come last.

A command that the built-in planner can plan is planned without asking anybody.

The instructions and the examples are plain text, and the last line is unfinished. A chat template, such as the
ChatML that llama.cpp falls back to for a GGUF without one, puts marks around it that a base model has never seen.
Served with a template that only joins the messages (`MESSAGES_AS_THEY_ARE`), it reads what is written here and no
more.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence

from nadg.domain.errors import AnswerUnfit, PlanInvalid, UserError
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.skill import SkillSpec
from nadg.models.call import Account, Door, ModelCall, TextSink, Turn
from nadg.models.json_answer import parse_json
from nadg.planning.builtin.planner import check_command, plan_command
from nadg.planning.llm.small_prompt import INSTRUCTIONS, answer_schema, small_request, unfinished
from nadg.planning.llm.small_steps import Misnamed, Outline, Refusal

MAX_CORRECTIONS = 2
"""How often the model is asked again."""
MAX_OPEN_STEPS = 8
MAX_COMMAND_CHARACTERS = 1_500
"""Longer commands do not fit into the context of a small model beside the examples."""
MESSAGES_AS_THEY_ARE = '{% for message in messages %}{{ message["content"] }}{{ "\\n" }}{% endfor %}'
"""A chat template (Jinja) for base models."""
_TOKENS_BESIDE_THE_STEP = 40
_CHARACTERS_PER_TOKEN = 2


async def plan_small(
    command: str,
    inputs: Sequence[InputFile],
    skills: Mapping[str, SkillSpec],
    door: Door,
    account: Account,
    sink: TextSink | None = None,
) -> Plan:
    """A validated plan. Raises UserError where neither the model nor the built-in planner can make one, and what
    the door raises where it gives no answer.

    Each answer begins anew at the sink. Where the model has named nothing usable in three rounds, the built-in
    planner's plan or error stands.
    """
    check_command(command, inputs, skills)
    try:
        return plan_command(command, inputs, skills)
    except UserError:
        outline = Outline(command, inputs, skills)
        if not 0 < len(outline.open_steps) <= MAX_OPEN_STEPS or len(command) > MAX_COMMAND_CHARACTERS:
            raise
    asking = _Asking(outline, skills, door, account, sink)
    for _ in range(1 + MAX_CORRECTIONS):
        with contextlib.suppress(Misnamed):
            return await asking.plan()
    account.notice("the model named no skills that make a plan; the built-in planner reads the command")
    return plan_command(command, inputs, skills)


class _Asking:
    """What was answered for one command, and what of it cannot stand."""

    def __init__(
        self,
        outline: Outline,
        skills: Mapping[str, SkillSpec],
        door: Door,
        account: Account,
        sink: TextSink | None,
    ) -> None:
        self._outline, self._skills = outline, skills
        self._door, self._account, self._sink = door, account, sink
        self._named: dict[str, str] = {}
        self._refused: set[Refusal] = set()
        self._wrong: dict[str, tuple[str, str]] = {}

    async def plan(self) -> Plan:
        """One round: every step without a name is asked about. Raises Misnamed where no plan comes of it."""
        try:
            for step in self._outline.open_steps:
                if step not in self._named:
                    self._named[step] = await self._name(step)
            return self._outline.plan(self._named)
        except Misnamed as error:
            for step, name in error.refused:
                self._refused.add((step, name))
                self._named.pop(step, None)
                self._wrong[step] = (json.dumps({step: name}), str(error))
            raise
        except PlanInvalid as error:
            self._named.clear()
            raise Misnamed([str(error)]) from error

    async def _name(self, step: str) -> str:
        choices = self._outline.choices(step, self._refused)
        turns: tuple[Turn, ...] = (Turn(role="user", text=small_request(step, choices, self._skills)),)
        if step in self._wrong:
            answer, reason = self._wrong[step]
            again = f"Wrong: {reason}.\n{unfinished(step)}"
            turns = (*turns, Turn(role="model", text=answer or "{}"), Turn(role="user", text=again))
        if self._sink is not None:
            self._sink.restart()
        answer = ""
        try:
            answer = (await self._door.ask(_call(turns, step, choices), self._account, self._sink)).text
            return _named_skill(answer, step, choices)
        except (AnswerUnfit, Misnamed) as error:
            self._wrong[step] = (answer, str(error))
            raise Misnamed([str(error)]) from error


def _call(turns: tuple[Turn, ...], step: str, choices: Sequence[str]) -> ModelCall:
    return ModelCall(
        purpose="plan",
        instructions=INSTRUCTIONS,
        turns=turns,
        output_schema=answer_schema(step, choices),
        max_output_tokens=len(step) // _CHARACTERS_PER_TOKEN + _TOKENS_BESIDE_THE_STEP,
    )


def _named_skill(answer: str, step: str, choices: Sequence[str]) -> str:
    """The skill that was named. Raises Misnamed where a server kept to no schema."""
    try:
        found = parse_json(answer)
    except ValueError:
        raise Misnamed(["the answer is no JSON"]) from None
    name = found.get(step) if isinstance(found, dict) else None
    if not isinstance(name, str) or name not in choices:
        raise Misnamed(["the answer names no skill of the list"])
    return name
