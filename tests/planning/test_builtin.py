"""How built-in plans are put together: bindings, dependencies, ids, titles, the answer, and strangers' skills."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain.blob import BlobRef
from nadg.domain.errors import PlanInvalid, UserError
from nadg.domain.inputs import Column, InputFile
from nadg.domain.plan import Plan, SkillWork
from nadg.domain.skill import Parameter, SkillSpec
from nadg.planning.builtin import BuiltinPlanner, plan_command
from nadg.planning.builtin.clauses import statements
from nadg.planning.builtin.words import stem, tokens
from nadg.planning.protocol import Planner
from nadg.skills.registry import builtin_skills

Planned = Callable[[str, str], Plan]
BLOB = BlobRef(sha256="0" * 64, size=1)
SKILLS = {name: one.spec for name, one in builtin_skills().items()}

STRANGERS = {
    one.name: one
    for one in (
        SkillSpec(
            name="money.total",
            summary="Add up a column of money.",
            synonyms=("add up", "sum up"),
            examples=("add up all invoices",),
            parameters=(
                Parameter(name="column", type="column", column_kind="number", required=True),
                Parameter(name="tags", type="strings", default=None),
                Parameter(name="rounded", type="boolean", default=False),
            ),
        ),
        SkillSpec(
            name="money.guess",
            summary="Guess a price.",
            takes="nothing",
            synonyms=("guess",),
            parameters=(Parameter(name="label", type="string", required=True, description="what to guess"),),
        ),
    )
}
INVOICES = InputFile(
    name="invoices.csv",
    blob=BLOB,
    kind="table",
    rows=2,
    columns=(Column(name="amount", kind="number"), Column(name="tax", kind="number")),
)


def args_of(plan: Plan, subtask_id: str) -> dict[str, object]:
    work = plan.subtask(subtask_id).work
    assert isinstance(work, SkillWork)
    return dict(work.args)


def test_the_reviews(planned: Planned) -> None:
    command = "Analyze the sentiment of customer reviews, categorize them by topic, and generate a summary report"
    plan = planned(command, "reviews")
    sentiment, topics, report = plan.subtasks
    assert plan.goal == command
    assert sentiment.foreach is not None
    assert (sentiment.id, sentiment.foreach.rows_of, sentiment.inputs) == ("sentiment", "reviews.csv", ())
    assert sentiment.title == "Analyze the sentiment of customer reviews"
    assert (topics.id, topics.foreach, topics.inputs) == ("topics", None, ("reviews.csv",))
    assert topics.needs == ()
    assert (report.id, report.needs, plan.answer_id) == ("report", ("sentiment", "topics"), "report")
    assert report.title == "Generate a summary report"
    assert (
        args_of(plan, "report")["title"] == "Analyze the sentiment of customer reviews, categorize them by topic"
    )


def test_the_cars(planned: Planned) -> None:
    command = (
        "Process the dataset by cleaning missing values, "
        "performing statistical analysis, and creating visualizations"
    )
    plan = planned(command, "cars")
    assert [one.id for one in plan.subtasks] == ["clean", "describe", "overview", "report"]
    for later in ("describe", "overview"):
        assert plan.subtask(later).inputs == ("clean/cleaned.csv",)
        assert plan.subtask(later).needs == ("clean",)
    assert plan.subtask("report").needs == ("clean", "describe", "overview")


def test_a_report_comes_of_its_own_accord_and_only_once(planned: Planned) -> None:
    assert planned("describe the data", "cars").answer_id == "report"
    plan = planned("describe the data, write a report, draw a heat map and write a final report", "cars")
    assert [one.id for one in plan.subtasks] == ["describe", "heatmap", "report"]


def test_repeated_skills_get_ids_of_their_own(planned: Planned) -> None:
    plan = planned("bar chart of Origin, then a bar chart of Cylinders by Year", "cars")
    assert [one.id for one in plan.subtasks] == ["bar", "bar-2", "report"]
    both = planned("describe the data", "cars reviews")
    assert [one.id for one in both.subtasks] == ["describe-cars", "describe-reviews", "report"]
    assert both.subtask("describe-cars").title == "Describe the data (cars)"


def test_a_file_named_once_stays_in_mind(planned: Planned) -> None:
    plan = planned("Clean cars.csv, describe it and plot a histogram of its Horsepower", "cars orders")
    assert [one.id for one in plan.subtasks] == ["clean", "describe", "histogram", "report"]


@pytest.mark.parametrize(
    ("command", "names", "patterns"),
    [
        ("thumbnails", "a b", ["*"]),
        ("thumbnails", "a b cars", ["*.png"]),
        ("thumbnails", "a b c", ["*"]),
        ("thumbnails", "a b c cars", ["*.png", "c[[]1].jpg"]),
        ("thumbnail of a.png", "a b", ["a.png"]),
        ("thumbnails", "c", ["c[[]1].jpg"]),
    ],
)
def test_images_are_repeated_over_by_pattern(
    planned: Planned, command: str, names: str, patterns: list[str]
) -> None:
    plan = planned(command, names)
    assert [one.foreach.files for one in plan.subtasks if one.foreach] == patterns


def test_plain_text_is_read_whole(planned: Planned) -> None:
    (subtask, _) = planned("sentiment", "article").subtasks
    assert (subtask.inputs, subtask.foreach) == (("article.txt",), None)


def test_it_is_a_planner() -> None:
    planner: Planner = BuiltinPlanner()
    plan = asyncio.run(planner.plan("add up the amount", [INVOICES], STRANGERS))
    assert args_of(plan, "total") == {"column": "amount"}


def test_strangers_skills_need_no_report() -> None:
    plan = plan_command('add up the tax with tags "a, b" rounded; guess "the price"', [INVOICES], STRANGERS)
    assert [one.id for one in plan.subtasks] == ["total", "guess"]
    assert args_of(plan, "total") == {"column": "tax", "tags": ["a, b"], "rounded": True}
    assert args_of(plan, "guess") == {"label": "the price"}
    assert plan.answer_id == "guess"


def test_what_a_strangers_skill_lacks_is_said() -> None:
    with pytest.raises(UserError, match=r"does not say the label \(what to guess\)"):
        plan_command("guess", [], STRANGERS)
    with pytest.raises(UserError, match="no skills are installed"):
        plan_command("guess", [], {})
    bad = InputFile(
        name="words.csv", blob=BLOB, kind="table", columns=(Column(name="w", kind="category"),), rows=1
    )
    with pytest.raises(PlanInvalid, match="needs a column of kind number"):
        plan_command("add up", [bad], STRANGERS)


@pytest.mark.parametrize(
    ("command", "pieces"),
    [
        ("clean, describe, and report", [["clean", "describe", "report"]]),
        ("clean & describe; report.", [["clean", "describe"], ["report"]]),
        ("resize to 1,000 px", [["resize to 1,000 px"]]),
        ("read a.b.csv. Then clean", [["read a.b.csv"], ["clean"]]),
        ("make it black and white", [["make it black and white"]]),
        ("1. clean\n2) describe\n* report", [["clean"], ["describe"], ["report"]]),
        ("threshold of 0.8", [["threshold of 0.8"]]),
        ("please clean, too", [["clean"]]),
        ("describe after cleaning it", [["cleaning it", "describe"]]),
        ("...", []),
    ],
)
def test_clauses(command: str, pieces: list[list[str]]) -> None:
    assert statements(command, ["black and white", "a.b.csv"]) == pieces


@pytest.mark.parametrize(
    "family",
    [
        ["analyze", "analyse", "analysis", "analyzing", "analysing", "analyses"],
        ["categorize", "categorise", "categories", "category", "categorising"],
        ["visualize", "visualise", "visualizations", "visualisation"],
        ["summarize", "summarise", "summary", "summaries"],
        ["clean", "cleaning", "cleaned", "cleans", "cleanse"],
        ["plot", "plots", "plotting", "plotted"],
        ["topic", "topics"],
        ["colour", "color", "colours", "colors"],
        ["describe", "describing", "descriptive", "description"],
        ["duplicate", "duplicates", "deduplicate", "dedupe"],
        ["correlation", "correlations", "correlate"],
        ["country", "countries"],
        ["price", "prices"],
        ["group", "grouped", "grouping"],
    ],
)
def test_the_forms_of_a_word_have_one_stem(family: list[str]) -> None:
    assert len({stem(word) for word in family}) == 1


@given(st.text(max_size=40))
def test_tokens_stand_where_they_say(text: str) -> None:
    for token in tokens(text):
        assert text[token.start : token.stop].lower().startswith(token.text[:1])


PIECES = """clean describe the data and then , ; . & 5 topics sentiment of reviews histogram Horsepower per Origin
by 200 px report with write a x 'q' " ( ) 50% cars.csv reviews.csv book flight against plot 1."""
WORDS = st.sampled_from([*PIECES.split(), "\n"])


@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=60))
@settings(max_examples=25, deadline=None)
def test_any_command_is_planned_or_refused(planned: Planned, command: str) -> None:
    for names in ("cars reviews", ""):
        with contextlib.suppress(UserError):
            assert planned(command, names).subtasks


def test_a_command_takes_milliseconds(planned: Planned) -> None:
    """Far below any limit that a busy machine could break: the aim is 50 ms, the guard two seconds."""
    command = "clean the data, describe it, draw a histogram of Horsepower and a heat map, then write a report"
    started = time.process_time()
    planned(command, "cars")
    assert time.process_time() - started < 2
