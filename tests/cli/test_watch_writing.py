"""What is told of a plan while it is still written, and of code that is mended."""

from __future__ import annotations

import datetime
import io
from typing import Any

import pytest
from rich.console import Console

from nadg.bootstrap.review import RunEstimate
from nadg.cli.render.writing import writing_lines
from nadg.cli.screen import LineScreen
from nadg.cli.watch import ScreenWatcher
from nadg.domain.assignment import Merge, Whole
from nadg.domain.changes import (
    AttemptChanged,
    Change,
    CodeChanged,
    PlannedSubtask,
    PlanSettled,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
    SubtaskRedefined,
    SubtasksAdded,
)
from nadg.domain.model_calls import ModelUsage
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Plan
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState

PLAN = Plan.model_validate({"subtasks": [{"id": "one", "work": {"kind": "python", "code": "result = 1"}}]})
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def subtask(subtask_id: str, title: str = "", **work: Any) -> PlannedSubtask:
    return PlannedSubtask(id=subtask_id, title=title, document={"id": subtask_id, "work": work})


def told(*changes: Change) -> list[str]:
    console = Console(file=io.StringIO(), width=200, markup=False, highlight=False)
    watcher = ScreenWatcher(LineScreen(console))
    watcher.run_created("r", PLAN)
    for change in changes:
        watcher.changed("r", change)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_each_subtask_is_told_as_it_is_planned() -> None:
    moods = subtask("moods", "Sentiment of the reviews", kind="skill", skill="text.sentiment")
    lengths = subtask("lengths", kind="python", code="a = 1\nresult = a")
    assert told(SubtasksAdded(subtasks=(moods, lengths)), PlanSettled(goal="g", answer="moods")) == [
        "+ moods: Sentiment of the reviews (skill text.sentiment)",
        "+ lengths: (python, 2 lines)",
        "The plan is whole: 3 subtasks",
    ]


def test_what_is_planned_anew_begins_again_and_says_so() -> None:
    added: list[Change] = [
        SubtasksAdded(subtasks=(subtask("two", kind="prompt", prompt="x"),)),
        ShardsAdded(subtask_id="two", first=0, pieces=(Whole(),)),
        SubtaskRedefined(subtask=subtask("two", "Two", kind="prompt", prompt="y")),
        ShardsAdded(subtask_id="two", first=1, pieces=(Whole(), Whole())),
        ShardsAdded(subtask_id="two", first=3, pieces=(Merge(parts=()),)),
    ]
    assert told(*added) == [
        "+ two: (prompt)",
        "▸ two: two, 1 shard",
        "~ two: planned anew: Two (prompt)",
        "▸ two: Two, 2 shards",
    ]


def test_mended_code_is_told_with_what_had_gone_wrong() -> None:
    change = CodeChanged(
        subtask_id="one", code="result = 2", number=1, reason="ZeroDivisionError:\n division by zero"
    )
    assert told(change) == ["~ one: code mended (1): ZeroDivisionError: division by zero"]


@pytest.mark.parametrize("work", [{}, {"kind": "skill"}, {"kind": 7}, {"kind": "\x1b[2J"}])
def test_a_document_that_is_odd_is_no_reason_to_fail(work: dict[str, object]) -> None:
    (line,) = writing_lines(SubtasksAdded(subtasks=(subtask("a\x1b", "\x1b[2J", **work),)), 1)
    assert line.startswith("+ a\\x1b: \\x1b[2J (")
    assert "\x1b" not in line


def test_a_document_without_work_neither() -> None:
    bare = PlannedSubtask(id="a", title="", document={})
    assert writing_lines(SubtasksAdded(subtasks=(bare,)), 1) == ["+ a: (unknown work)"]
    assert writing_lines(RunChanged(state=RunState.RUNNING), 1) == []


def test_the_tokens_of_prompt_work_are_counted() -> None:
    receipt = Receipt(
        worker="master",
        sandbox_tier=None,
        code_sha256="c",
        input_sha256s={},
        started_at=NOW,
        finished_at=NOW,
        model_usage=ModelUsage(answers=1, input_tokens=1000, output_tokens=200, thinking_tokens=34),
    )
    done = Outcome(kind="succeeded", receipt=receipt)
    changes: list[Change] = [
        SubtaskChanged(subtask_id="one", state=SubtaskState.RUNNING),
        AttemptChanged(attempt_id="r/one/0/1", state=AttemptState.SUCCEEDED, outcome=done),
        ShardChanged(subtask_id="one", index=0, state=ShardState.SUCCEEDED),
        SubtaskChanged(subtask_id="one", state=SubtaskState.SUCCEEDED),
    ]
    assert told(*changes)[-1] == "✓ one: succeeded, 1,234 tokens"


def test_the_estimate_stands_below_the_whole_plan() -> None:
    console = Console(file=io.StringIO(), width=200, markup=False, highlight=False)
    watcher = ScreenWatcher(LineScreen(console))
    watcher.run_created("r", PLAN)
    watcher.estimated(
        RunEstimate(calls=3, at_least=False, input_tokens=900, output_tokens=30, cost_usd=0.01, shards=2)
    )
    watcher.changed("r", PlanSettled(goal="g", answer="one"))
    assert isinstance(console.file, io.StringIO)
    first, second = console.file.getvalue().splitlines()
    assert first == "The plan is whole: 1 subtask"
    assert second.startswith("Estimate: 3 calls, about 900 tokens in and 30 out")
