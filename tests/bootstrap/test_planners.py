"""Who plans a command, and what is told of a plan that is streamed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from nadg.bootstrap.asked import ModelWishes
from nadg.bootstrap.planners import BUILTIN
from nadg.bootstrap.planning import create_planners, take_inputs
from nadg.bootstrap.streaming import PlanStream
from nadg.domain import events as ev
from nadg.domain.errors import PlanInvalid
from nadg.domain.plan import Plan, PromptWork, Subtask
from nadg.link.blobfolder import BlobFolder
from nadg.models.fake_door import FakeDoor
from nadg.settings import Settings
from tests.orchestrator.accounts import SilentAccount

PLAN = {
    "subtasks": [{"id": "one", "work": {"kind": "python", "code": "result = 1"}}],
    "answer": "one",
    "goal": "g",
}


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "NADG_MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_a_model_that_is_there_for_prompts_only_plans_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, model_prompt="google:a")
    planners = create_planners(settings, ModelWishes(), BlobFolder(tmp_path / "blobs"), FakeDoor([]))
    assert planners.writer is None
    assert planners.has_model
    table = tmp_path / "a.csv"
    table.write_text("price\n1\n2\n")
    inputs = take_inputs([table], BlobFolder(tmp_path / "blobs"))
    planned = asyncio.run(planners.plan("mean of price", inputs, SilentAccount("run1")))
    assert planned.planner == BUILTIN


class Run:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[ev.SubtasksPlanned | ev.PlanFinished | ev.PlanningFailed] = []

    def tell(self, event: ev.SubtasksPlanned | ev.PlanFinished | ev.PlanningFailed) -> None:
        self.told.append(event)


def test_a_streamed_plan_is_told_once_it_is_whole(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, model="google:a")
    door = FakeDoor([json.dumps(PLAN)])
    planners = create_planners(settings, ModelWishes(), BlobFolder(tmp_path / "blobs"), door)
    run, whole = Run(), list[Plan]()

    async def inside() -> None:
        stream = PlanStream(planners, ())
        await stream.plan("Do it", (), SilentAccount("run1"))
        assert isinstance(await stream.first(), Subtask)
        await stream.feed(run, whole.append)

    asyncio.run(inside())
    (finished,) = run.told
    assert isinstance(finished, ev.PlanFinished)
    assert whole == [finished.plan]


@pytest.mark.parametrize(
    ("command", "answers", "planner"),
    [
        ("mean of price", [], BUILTIN),
        ("say something nice about it", ['{"say something nice about it": "prompt"}'], "google:a"),
    ],
)
def test_a_small_model_that_is_not_asked_has_not_planned(
    command: str, answers: list[str], planner: str, tmp_path: Path
) -> None:
    table = tmp_path / "a.csv"
    table.write_text("price\n1\n2\n")
    blobs = BlobFolder(tmp_path / "blobs")
    settings = Settings(home=tmp_path, model="google:a", model_style="small")
    door = FakeDoor(answers)
    planners = create_planners(settings, ModelWishes(), blobs, door)
    planned = asyncio.run(planners.plan(command, take_inputs([table], blobs), SilentAccount("run1")))
    assert (planned.planner, door.remaining) == (planner, 0)


def test_a_plan_file_whose_prompt_is_surely_too_long_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "long.txt"
    text.write_text("a" * 400_000)
    blobs = BlobFolder(tmp_path / "blobs")
    inputs = take_inputs([text], blobs)
    planners = create_planners(Settings(home=tmp_path, model="google:a"), ModelWishes(), blobs, FakeDoor([]))
    work = PromptWork(kind="prompt", prompt="x")
    with pytest.raises(PlanInvalid, match=r"subtasks\[0\].inputs: the file that it reads has 400,000 characters"):
        planners.check_prompts(Plan(subtasks=(Subtask(id="a", work=work, inputs=("long.txt",)),)), inputs)
