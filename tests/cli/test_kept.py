"""What is told of a run that begins with what another one did."""

from __future__ import annotations

import datetime

import pytest

from nadg.api.schemas import checked_submission
from nadg.cli.kept import KeptWatcher, kept_line
from nadg.cli.screen import SilentScreen
from nadg.domain import changes as ch
from nadg.domain.errors import UserError
from nadg.domain.master_api import Submission, SubmittedFile
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.states import AttemptState, RunState, SubtaskState

PYTHON = PythonWork(kind="python", code="result = 1")
PLAN = Plan(subtasks=tuple(Subtask(id=one, work=PYTHON) for one in "abc"))


class Said(SilentScreen):
    """A screen that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def kept_changes() -> list[ch.Change]:
    return [
        ch.SubtaskChanged(subtask_id="a", state=SubtaskState.PREPARING),
        ch.AttemptChanged(
            attempt_id="r/a/0/1", state=AttemptState.SUCCEEDED, at=datetime.datetime.now(datetime.UTC)
        ),
        ch.SubtaskChanged(subtask_id="a", state=SubtaskState.SUCCEEDED),
    ]


def test_what_is_kept_is_told_once_when_the_run_begins() -> None:
    screen = Said()
    watcher = KeptWatcher(screen)
    watcher.keeps_of("old")
    watcher.run_created("r", PLAN)
    for change in kept_changes():
        watcher.changed("r", change)
    assert screen.lines == []
    for state in (RunState.RUNNING, RunState.FAILED):
        watcher.changed("r", ch.RunChanged(state=state))
    assert screen.lines == ["Kept 1 of 3 subtasks and 1 shard of run old; to do: b, c"]
    assert watcher.ended


def test_the_line_says_what_is_left_however_much_it_is() -> None:
    many = [f"s{number}" for number in range(1000)]
    assert kept_line("x", 2, 1812, many).endswith("; to do: s0, s1, s2, s3, s4, s5, s6, s7 and 992 more")
    assert kept_line("x", 2, 1812, []) == "Kept 2 of 2 subtasks and 1,812 shards of run x; nothing is left to do"
    assert kept_line("x", 0, 0, ["a"]) == "Nothing of run x is kept; to do: a"


def test_a_submission_of_a_derived_run_names_nothing_that_its_parent_has() -> None:
    file = SubmittedFile(name="a.csv", sha256="0" * 64, size=1)
    for asked, sentence in (
        (Submission(from_subtask="a"), "from_subtask: says where a fork begins"),
        (Submission(parent="r", command="c"), "command: a run that resumes or forks another has those"),
        (Submission(parent="r", inputs=(file,)), "inputs: a run that resumes or forks another has those"),
        (Submission(parent="r", plan={}), "plan: a resumed run keeps its plan"),
        (Submission(), "give either a command in words or a plan"),
    ):
        with pytest.raises(UserError, match=sentence):
            checked_submission(asked)
    for asked in (Submission(parent="r"), Submission(parent="r", from_subtask="a", plan={})):
        assert checked_submission(asked) is asked
