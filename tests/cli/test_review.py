"""The review of a plan, with a person whose words are written down beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nadg.bootstrap.planning import PlannedRun
from nadg.bootstrap.review import editable_text, unconfined_code
from nadg.cli.review import AGAIN, QUESTION, Reviewer, ReviewWishes
from nadg.cli.terminal import EditorFailed, editor_command
from nadg.domain.errors import UserError
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.tier import Tier

Edit = Callable[[str], str | bytes | None]
UNCONFINED = ReviewWishes(tier=Tier.NONE)
REVIEW = ReviewWishes(review=True)


def planned(planner: str = "google:gemini-3.5-flash-lite", tier: Tier | None = None) -> PlannedRun:
    work = PythonWork(kind="python", code="result = 7")
    plan = Plan(goal="seven", subtasks=(Subtask(id="seven", work=work, min_sandbox=tier),))
    return PlannedRun(command="seven", planner=planner, plan=plan, inputs=())


class ScriptedPerson:
    """Gives its lines in order, then the end of the input; edits likewise."""

    def __init__(self, lines: Sequence[str] = (), edits: Sequence[Edit] = (), *, present: bool = True) -> None:
        self.present = present
        self._lines, self._edits = list(lines), list(edits)
        self.asked: list[str] = []
        self.files: list[Path] = []

    async def ask(self, question: str) -> str | None:
        self.asked.append(question)
        return self._lines.pop(0) if self._lines else None

    async def edit(self, file: Path) -> None:
        self.files.append(file)
        rewrite(file, self._edits.pop(0))


def rewrite(file: Path, edit: Edit) -> None:
    made = edit(file.read_text())
    if made is None:
        file.unlink()
    else:
        file.write_bytes(made if isinstance(made, bytes) else made.encode())


class Seen:
    """What was shown and said."""

    def __init__(self) -> None:
        self.plans: list[PlannedRun] = []
        self.lines: list[str] = []


def review(
    person: ScriptedPerson, wishes: ReviewWishes = REVIEW, plan: PlannedRun | None = None
) -> tuple[PlannedRun | None, Seen]:
    seen = Seen()
    reviewer = Reviewer(person, seen.plans.append, seen.lines.append)
    return asyncio.run(reviewer.reviewed(plan or planned(), wishes)), seen


def replaced(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize("lines", [["n"], ["no"], [], ["", "maybe", "N"]])
def test_a_refusal_is_none(lines: list[str]) -> None:
    found, seen = review(ScriptedPerson(lines))
    assert found is None
    assert len(seen.plans) == 1


@pytest.mark.parametrize("lines", [["y"], [" YES "], ["what?", "y"]])
def test_an_approved_plan_is_the_same(lines: list[str]) -> None:
    plan = planned()
    assert review(ScriptedPerson(lines), plan=plan)[0] is plan


def test_nobody_is_asked_where_nothing_was_wished() -> None:
    person = ScriptedPerson()
    plan = planned()
    found, seen = review(person, ReviewWishes(), plan)
    assert (found, person.asked, seen.plans) == (plan, [], [])


def test_yes_shows_a_review_and_asks_nobody() -> None:
    person = ScriptedPerson(present=False)
    found, seen = review(person, ReviewWishes(review=True, yes=True))
    assert found is not None
    assert (person.asked, len(seen.plans)) == ([], 1)


def test_a_review_without_anybody_is_refused_and_shows_nothing() -> None:
    seen = Seen()
    reviewer = Reviewer(ScriptedPerson(present=False), seen.plans.append, seen.lines.append)
    with pytest.raises(UserError, match="--review asks on a terminal"):
        asyncio.run(reviewer.reviewed(planned(), REVIEW))
    assert seen.plans == []


def test_a_models_code_without_isolation_is_refused_where_nobody_can_be_asked() -> None:
    with pytest.raises(UserError, match="the code of seven was written by a language model"):
        review(ScriptedPerson(present=False), UNCONFINED)


def test_a_models_code_without_isolation_is_asked_about_even_without_a_review() -> None:
    person = ScriptedPerson(["n"])
    found, seen = review(person, UNCONFINED)
    assert (found, person.asked, len(seen.plans)) == (None, [QUESTION], 1)
    assert "would run without isolation" in seen.lines[0]


@pytest.mark.parametrize(
    ("plan", "tier", "expected"),
    [
        (planned(), Tier.NONE, ("seven",)),
        (planned(), Tier.LANDLOCK, ()),
        (planned(tier=Tier.LANDLOCK), Tier.NONE, ()),
        (planned("file"), Tier.NONE, ()),
        (planned("builtin"), Tier.NONE, ()),
    ],
)
def test_which_code_is_unconfined(plan: PlannedRun, tier: Tier, expected: tuple[str, ...]) -> None:
    assert unconfined_code(plan, tier) == expected


def test_an_edited_plan_is_shown_again_and_runs_when_approved() -> None:
    person = ScriptedPerson(["e", "y"], [replaced("result = 7", "result = 8")])
    found, seen = review(person)
    assert found is not None
    work = found.plan.subtask("seven").work
    assert isinstance(work, PythonWork)
    assert work.code == "result = 8"
    assert found.planner == "google:gemini-3.5-flash-lite, edited"
    assert seen.plans[1:] == [found]
    assert not person.files[0].parent.exists(), "nothing is left behind"


def test_an_edit_that_lifts_isolation_is_asked_about_again() -> None:
    """Approval is of the plan that runs, not of the one before it."""
    person = ScriptedPerson(["e", "n"], [replaced("min_sandbox: landlock", "min_sandbox: none")])
    plan = planned(tier=Tier.LANDLOCK)
    found, seen = review(person, ReviewWishes(review=True, tier=Tier.NONE), plan)
    assert (found, len(seen.plans), len(seen.lines)) == (None, 2, 1)


@pytest.mark.parametrize("edit", [lambda text: text, lambda _: "", lambda _: " \n", lambda _: None])
def test_a_file_left_as_it_was_or_emptied_is_told_and_asked_about_again(edit: Edit) -> None:
    person, plan = ScriptedPerson(["e", "y"], [edit]), planned()
    found, seen = review(person, plan=plan)
    assert found is plan
    assert (person.asked, len(seen.plans)) == ([QUESTION, QUESTION], 1)
    assert seen.lines in (["The file was left as it was."], ["The file was emptied; the plan is as it was."])


def test_what_is_no_answer_is_told_what_would_be_one() -> None:
    person = ScriptedPerson(["", "e", "y", "n"], [lambda _: "subtasks: ["])
    found, seen = review(person)
    assert found is None
    assert person.asked == [QUESTION, QUESTION, AGAIN, AGAIN]
    assert (seen.lines[0], seen.lines[-1]) == ("Answer y, e or n.", "Answer e or n.")


def test_every_problem_is_shown_and_the_text_is_there_again() -> None:
    broken = "subtasks:\n  - {id: seven, needs: [nobody], work: {kind: skill, skill: text.sentimant}}\n"
    seen_again: list[str] = []

    def mend(text: str) -> str:
        seen_again.append(text)
        return editable_text(planned()).replace("7", "9")

    person = ScriptedPerson(["e", "e", "y"], [lambda _: broken, mend])
    found, seen = review(person)
    assert found is not None
    assert seen_again == [broken]
    assert person.asked == [QUESTION, AGAIN, QUESTION]
    assert seen.lines[0].startswith("the plan has 2 problems:\n")
    assert "nobody" in seen.lines[0]
    assert "text.sentiment" in seen.lines[0]


def test_an_edit_that_names_no_model_is_told_before_it_runs() -> None:
    prompt = "subtasks:\n  - {id: seven, work: {kind: prompt, prompt: Say it., model: gpt}}\n"
    found, seen = review(ScriptedPerson(["e", "n"], [lambda _: prompt]))
    assert found is None
    assert "subtasks[0].work.model: 'gpt' is no model; write PROVIDER:NAME" in seen.lines[0]


@pytest.mark.parametrize("text", ["subtasks: [", "[]", "a: &b c"])
def test_a_broken_edit_may_be_given_up(text: str) -> None:
    person = ScriptedPerson(["e", "n"], [lambda _: text])
    found, seen = review(person)
    assert found is None
    assert len(seen.lines) == 1


def test_an_edit_that_is_no_text_is_told_and_asked_about_again() -> None:
    person = ScriptedPerson(["e", "n"], [lambda _: b"\xff\xfe"])
    found, seen = review(person)
    assert (found, person.asked) == (None, [QUESTION, QUESTION])
    assert "not UTF-8" in seen.lines[0]


def test_prompts_cannot_be_added_where_no_model_is_known() -> None:
    prompt = "subtasks:\n  - {id: seven, work: {kind: prompt, prompt: hello}}\n"
    found, seen = review(ScriptedPerson(["e", "n"], [lambda _: prompt]), plan=planned("file"))
    assert found is None
    assert "language model" in seen.lines[0]
    assert review(ScriptedPerson(["e", "y"], [lambda _: prompt]))[0] is not None


def test_the_editor_is_the_users() -> None:
    assert editor_command({"VISUAL": "code --wait", "EDITOR": "vi"}) == ["code", "--wait"]
    assert editor_command({"EDITOR": "'my editor'"}) == ["my editor"]
    with pytest.raises(EditorFailed, match="VISUAL or EDITOR is no command"):
        editor_command({"EDITOR": "vi '"})


def test_without_any_editor_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EditorFailed, match="set VISUAL or EDITOR"):
        editor_command({})


def test_a_schema_that_cannot_be_used_is_shown_like_any_problem() -> None:
    prompt = (
        "subtasks:\n  - {id: seven, work: {kind: prompt, prompt: hello, output_schema: {pattern: '(a+)+$'}}}\n"
    )
    found, seen = review(ScriptedPerson(["e", "n"], [lambda _: prompt]))
    assert found is None
    assert "pattern is not supported" in seen.lines[0]
