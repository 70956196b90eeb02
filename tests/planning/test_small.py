"""The path for small models, driven by scripted answers: what is asked, what is refused, and when words decide."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.errors import AnswerUnfit, UserError
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import ModelUsage
from nadg.domain.plan import Plan, PromptWork, SkillWork
from nadg.models.call import Account, ModelCall, Reply, TextSink
from nadg.planning.inspect import inspect_input
from nadg.planning.llm.small import MAX_CORRECTIONS, plan_small
from nadg.skills.registry import builtin_skills
from tests.models.doors import NotingAccount

BLOB = BlobRef(sha256="0" * 64, size=1)
EXAMPLES = Path(__file__).parents[2] / "examples"
CARS = [inspect_input(EXAMPLES / "cars.csv", "cars.csv", BLOB)]
REVIEWS = [inspect_input(EXAMPLES / "reviews.csv", "reviews.csv", BLOB)]
PICTURES = [InputFile(name=f"{name}.png", blob=BLOB, kind="image") for name in "ab"]
SKILLS = {name: one.spec for name, one in builtin_skills().items()}


class ScriptedDoor:
    """Names the skills of a list, one an answer; an answer that is no name is given as it is."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.calls: list[ModelCall] = []

    async def reject(self, reply: Reply) -> None: ...

    def serves(self, model: str) -> bool:
        return bool(model)

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        self.calls.append(call)
        answer = self._answers.pop(0)
        if answer == "cut off":
            raise AnswerUnfit("the answer was cut off")
        (step,) = self.choices(-1)
        text = json.dumps({step: answer}) if answer in SKILLS or answer == "prompt" else answer
        return Reply(text=text, model="openai:small", usage=ModelUsage())

    def choices(self, number: int) -> dict[str, list[str]]:
        """The step that was asked about, and what it might be."""
        schema = self.calls[number].output_schema
        assert schema is not None
        return {step: one["enum"] for step, one in schema["properties"].items()}


def planned(
    command: str, inputs: Sequence[InputFile], door: ScriptedDoor, account: NotingAccount | None = None
) -> Plan:
    return asyncio.run(plan_small(command, inputs, SKILLS, door, account or NotingAccount()))


def skills_of(plan: Plan) -> list[str]:
    return [one.work.skill if isinstance(one.work, SkillWork) else one.work.kind for one in plan.subtasks]


def test_what_the_words_say_needs_no_model() -> None:
    door = ScriptedDoor()
    assert skills_of(planned("clean the data", CARS, door)) == ["table.clean", "report.compose"]
    assert door.calls == []


def test_only_open_steps_are_asked_about_and_later_ones_read_what_they_made() -> None:
    door = ScriptedDoor("table.clean")
    plan = planned("plug the gaps, draw a histogram of Horsepower and write a report", CARS, door)
    assert skills_of(plan) == ["table.clean", "chart.histogram", "report.compose"]
    assert plan.subtask("histogram").inputs == ("clean/cleaned.csv",)
    assert plan.subtask("report").needs == ("clean", "histogram")
    assert [list(door.choices(number)) for number in range(len(door.calls))] == [["plug the gaps"]]
    assert door.calls[0].turns[-1].text.endswith("Command: plug the gaps\nSkill:")


def test_only_skills_that_suit_the_inputs_may_be_named() -> None:
    door = ScriptedDoor("image.thumbnail")
    planned("produce wee versions", PICTURES, door)
    (names,) = door.choices(0).values()
    assert {"image.thumbnail", "report.compose", "prompt"} <= set(names)
    assert not any(name.startswith(("table.", "text.", "chart.")) for name in names)


def test_nothing_of_the_inputs_is_shown() -> None:
    door = ScriptedDoor("prompt")
    planned("invent slogans", REVIEWS, door)
    shown = door.calls[0].instructions + "".join(turn.text for turn in door.calls[0].turns)
    assert "reviews.csv" not in shown
    assert "apex" not in shown


def test_neighbours_of_one_skill_become_one_subtask() -> None:
    plan = planned("fathom the Horsepower and ponder the Acceleration", CARS, ScriptedDoor(*["chart.scatter"] * 2))
    assert len(plan.subtasks) <= 3
    assert set(skills_of(plan)) == {"chart.scatter", "report.compose"}


def test_a_prompt_about_each_row_is_repeated_over_the_rows() -> None:
    plan = planned("invent a friendly slogan for each review", REVIEWS, ScriptedDoor("prompt"))
    first = plan.subtasks[0]
    assert isinstance(first.work, PromptWork)
    assert first.work.prompt == "invent a friendly slogan for each review"
    assert first.foreach is not None
    assert first.foreach.rows_of == "reviews.csv"


def test_a_skill_that_cannot_do_it_is_not_offered_again() -> None:
    door = ScriptedDoor("image.convert", "image.resize")
    plan = planned("fiddle with the pictures", PICTURES, door)
    assert skills_of(plan)[0] == "image.resize"
    assert "image.convert" in door.choices(0)["fiddle with the pictures"]
    assert "image.convert" not in door.choices(1)["fiddle with the pictures"]
    assert "does not say the format" in door.calls[1].turns[-1].text


@pytest.mark.parametrize("bad", ["Sure! Here you go", "[]", '{"fiddle": "table.clean"}', "{}", "cut off"])
def test_an_answer_that_is_none_is_asked_for_again(bad: str) -> None:
    door = ScriptedDoor(bad, "table.clean")
    assert skills_of(planned("fiddle with it all", CARS, door))[0] == "table.clean"
    assert [turn.role for turn in door.calls[1].turns] == ["user", "model", "user"]


def test_after_three_answers_the_words_alone_decide() -> None:
    door, account = ScriptedDoor(*["no"] * 10), NotingAccount()
    with pytest.raises(UserError, match='no installed skill does "fiddle with it all"'):
        planned("fiddle with it all", CARS, door, account)
    assert len(door.calls) == 1 + MAX_CORRECTIONS
    assert len(account.notices) == 1


def test_a_report_of_nothing_is_refused() -> None:
    door = ScriptedDoor("report.compose", "table.profile")
    assert skills_of(planned("fiddle with it all", CARS, door)) == ["table.profile", "report.compose"]
    assert "report.compose" not in door.choices(1)["fiddle with it all"]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("…", "empty"),
        ("frobnicate missing.csv", "names missing.csv"),
        ("frobnicate it " * 120, "no installed skill"),
    ],
)
def test_commands_that_no_model_is_asked_about(command: str, sentence: str) -> None:
    door = ScriptedDoor()
    with pytest.raises(UserError, match=sentence):
        planned(command, CARS, door)
    assert door.calls == []
