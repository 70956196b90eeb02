"""A real model behind the product's own door: a real stream, plans by constrained JSON, and `prompt` work.

What a model of 270 million parameters answers is not the point and is held only loosely; that every answer comes
through, keeps to its schema and makes a valid plan is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.blob import BlobRef
from nadg.domain.errors import AnswerUnfit, UserError
from nadg.domain.plan import Plan, SkillWork
from nadg.domain.run import RunOptions, RunRecord
from nadg.domain.states import RunState
from nadg.models.call import ModelCall, Reply, Turn
from nadg.models.configuration import ModelSettings
from nadg.models.fake import FakeAnswerCache
from nadg.models.gateway import Gateway, open_gateway
from nadg.planning.builtin import plan_command
from nadg.planning.inspect import inspect_input
from nadg.planning.llm.small import plan_small
from nadg.settings import Settings
from nadg.skills.registry import builtin_skills
from tests.models.doors import NotingAccount
from tests.support.real_model import MODEL, RealModel
from tests.support.real_model import real_model as real_model

BLOB = BlobRef(sha256="0" * 64, size=1)
EXAMPLES = Path(__file__).parents[2] / "examples"
INPUTS = {name: [inspect_input(EXAMPLES / name, name, BLOB)] for name in ("cars.csv", "reviews.csv")}
SKILLS = {name: one.spec for name, one in builtin_skills().items()}
COMMANDS = (
    (
        "spot copied posts and tell me the mood of the writers",
        "reviews.csv",
        {"text.duplicates", "text.sentiment"},
    ),
    ("fix the gaps in the data, then a histogram of Horsepower", "cars.csv", {"table.clean", "chart.histogram"}),
    ("write a friendly reply to each review", "reviews.csv", {"prompt"}),
)
REVIEWS = (
    ("I love it, it works perfectly", "positive"),
    ("Broken after one day, a waste of money", "negative"),
    ("The best camera I ever had", "positive"),
    ("Terrible sound and awful support", "negative"),
    ("Great value, very happy", "positive"),
    ("I hate it and sent it back", "negative"),
)
SHOTS = (
    "Review: What a wonderful present\nSentiment: {\"sentiment\": \"positive\"}\n"
    "Review: It never worked and I am angry\nSentiment: {\"sentiment\": \"negative\"}\n"
    "Review: Excellent, my whole family likes it\nSentiment: {\"sentiment\": \"positive\"}\n"
    "Review: Bad quality, do not buy\nSentiment: {\"sentiment\": \"negative\"}\n"
)  # fmt: skip


Found = TypeVar("Found")


class Pieces:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def text(self, piece: str) -> None:
        self.pieces.append(piece)

    def restart(self) -> None:
        self.pieces.clear()


def through_the_door(model: RealModel, work: Callable[[Gateway], Awaitable[Found]]) -> Found:
    async def within() -> Found:
        settings = ModelSettings(model=f"openai:{MODEL}", openai_base_url=model.base_url)
        async with open_gateway(settings, cache=FakeAnswerCache()) as door:
            return await work(door)

    return asyncio.run(within())


def names_in(plan: Plan) -> set[str]:
    return {one.work.skill if isinstance(one.work, SkillWork) else one.work.kind for one in plan.subtasks}


@pytest.mark.timeout(400)
def test_a_real_model_streams_plans_and_does_prompt_work(real_model: RealModel, tmp_path: Path) -> None:
    """One test, so that one server does, however many processes the tests are spread over."""
    an_answer_is_streamed_and_counted(real_model)
    commands_that_the_words_do_not_settle_become_plans(real_model)
    answers_keep_to_their_schema(real_model)
    a_run_has_prompts_answered_item_by_item(real_model, tmp_path)


def an_answer_is_streamed_and_counted(real_model: RealModel) -> None:
    account, sink = NotingAccount(), Pieces()
    text = "Months: January February March April May June July August September October November December\n"
    call = ModelCall(purpose="prompt", turns=(Turn(role="user", text=f"{text * 3}Months: January February"),))

    async def ask(door: Gateway) -> Reply:
        return await door.ask(msgspec.structs.replace(call, max_output_tokens=48), account, sink)

    with contextlib.suppress(AnswerUnfit):  # a base model may go on until it is cut off
        assert through_the_door(real_model, ask).text == "".join(sink.pieces)
    assert "March" in "".join(sink.pieces)
    assert len(sink.pieces) >= 10
    (settled,) = account.settled
    assert 48 >= settled.usage.output_tokens >= 10
    assert settled.usage.input_tokens >= 40


def commands_that_the_words_do_not_settle_become_plans(real_model: RealModel) -> None:
    account, sink = NotingAccount(), Pieces()
    right = 0
    for command, name, wanted in COMMANDS:
        with pytest.raises(UserError, match="no installed skill does"):
            plan_command(command, INPUTS[name], SKILLS)

        async def plan(door: Gateway, command: str = command, name: str = name) -> Plan:
            return await plan_small(command, INPUTS[name], SKILLS, door, account, sink)

        found = through_the_door(real_model, plan)
        assert found.goal == command
        assert found.subtask(found.answer_id).work == found.subtasks[-1].work
        assert len(sink.pieces) >= 5
        assert isinstance(json.loads("".join(sink.pieces)), dict)
        right += wanted <= names_in(found)
    assert account.notices == []
    assert set(account.states) == {"answered"}
    assert right >= 2


def answers_keep_to_their_schema(real_model: RealModel) -> None:
    account = NotingAccount()
    schema = {
        "type": "object",
        "properties": {"sentiment": {"type": "string", "enum": ["positive", "negative", "unclear"]}},
        "required": ["sentiment"],
        "additionalProperties": False,
    }

    def call(review: str) -> ModelCall:
        turn = Turn(role="user", text=f"{SHOTS}Review: {review}\nSentiment:")
        return ModelCall(purpose="prompt", turns=(turn,), output_schema=schema, max_output_tokens=32)

    async def ask(door: Gateway) -> list[Reply]:
        return list(await asyncio.gather(*(door.ask(call(review), account) for review, _ in REVIEWS)))

    answers = [json.loads(one.text) for one in through_the_door(real_model, ask)]
    assert [sorted(one) for one in answers] == [["sentiment"]] * len(REVIEWS)
    assert {one["sentiment"] for one in answers} <= {"positive", "negative", "unclear"}
    assert sum(one["sentiment"] == wanted for one, (_, wanted) in zip(answers, REVIEWS, strict=True)) >= 4


def a_run_has_prompts_answered_item_by_item(real_model: RealModel, folder: Path) -> None:
    """A plan file with prompt work and python, on a real grid."""
    mood = {"type": "string", "enum": ["good", "bad"]}
    ask = {"kind": "prompt", "prompt": "Is the mood good or bad?", "output_schema": mood, "max_output_tokens": 32}
    count = {"kind": "python", "code": "result = sorted(needs['moods'])"}
    document = {
        "subtasks": [
            {"id": "moods", "foreach": {"items": [text for text, _ in REVIEWS[:3]]}, "work": ask},
            {"id": "count", "needs": ["moods"], "work": count},
        ]
    }
    plan = folder / "plan.json"
    plan.write_text(json.dumps(document))

    async def run() -> RunRecord:
        settings = Settings(home=folder / "home", model=f"openai:{MODEL}", openai_base_url=real_model.base_url)
        async with open_grid(settings, workers=1) as grid:
            return await grid.run(await grid.plan(None, plan, []), RunOptions(), QuietWatcher())

    record = asyncio.run(run())
    assert record.state is RunState.SUCCEEDED, record.reason
    result = record.subtasks[1].result
    assert result is not None
    assert set(json.loads(result.inline or b"")) <= {"good", "bad"}
    assert record.usage.answers >= 3
    assert record.usage.models == (f"openai:{MODEL}",)
    assert record.usage.cost_usd == 0, "a server on this machine costs nothing"
