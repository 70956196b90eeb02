"""A report from results of every form: what it says, where its links lead, and text that tries to break it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nadg.skills.call import run_skill
from nadg.skills.report.markdown import escaped, table

Call = Callable[..., Any]
LINK = re.compile(r"!?\[(?:[^\]\\]|\\.)*\]\(([^)]*)\)")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Path]]:
    """Sentiment and topics of the reviews, statistics and charts of the cars: results and folders by subtask."""
    examples = Path(__file__).parents[2] / "examples"
    out = tmp_path_factory.mktemp("run") / "artifacts"
    wanted = {
        "moods": ("text.sentiment", "reviews.csv"),
        "themes": ("text.topics", "reviews.csv"),
        "clean": ("table.clean", "cars.csv"),
        "stats": ("table.describe", "cars.csv"),
        "charts": ("chart.overview", "cars.csv"),
    }
    results, folders = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        for name, (skill, file) in wanted.items():
            folders[name] = out / name
            folders[name].mkdir(parents=True)
            patch.chdir(folders[name])
            given_inputs = {file: str(examples / file)}
            results[name] = run_skill(skill, {}, inputs=given_inputs, needs={}, needs_files={}, missing={})
    return results, folders


def compose_in(
    run: tuple[Mapping[str, Any], Mapping[str, Path]],
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    **args: object,
) -> tuple[Any, Path]:
    """Compose beside the folders of the others, as in the out folder of a run."""
    results, folders = run
    own = next(iter(folders.values())).parent / "report"
    own.mkdir(exist_ok=True)
    monkeypatch.chdir(own)
    files = {name: str(folders[name]) for name in names}
    needs = {name: results[name] for name in names}
    return run_skill("report.compose", args, inputs={}, needs=needs, needs_files=files, missing={}), own


def test_reviews_are_reported_with_cross_findings(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = "Analyze the sentiment of customer reviews, categorize them by topic, and generate a summary report"
    result, own = compose_in(run, ["moods", "themes"], monkeypatch, goal=goal)
    text = result["markdown"]
    assert text.startswith(
        f"# Report: Sentiment and Topics\n\n> {goal}\n\n## Main findings\n\n- **Sentiment.** Of 3,708"
    )
    assert "The scores correlate with the column human_rating: 0.590 (Pearson) and 0.592 (Spearman)" in text
    assert "## Sentiment by topic" in text
    assert "![Mean compound score of each topic](artifacts/report/sentiment_by_topic.png)" in text
    assert (own / "sentiment_by_topic.png").stat().st_size > 5000
    assert result["sections"] == ["Sentiment", "Topics", "Sentiment by topic"]


def test_every_link_leads_to_a_file(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result, own = compose_in(run, ["moods", "themes", "clean", "stats", "charts"], monkeypatch)
    from_answer = [unquote(link) for link in LINK.findall(result["markdown"])]
    from_here = [unquote(link) for link in LINK.findall((own / "report.md").read_text(encoding="utf-8"))]
    assert len(from_answer) == len(from_here) >= 12
    assert [link for link in from_answer if not (own.parents[1] / link).is_file()] == []
    assert [link for link in from_here if not (own / link).is_file()] == []


def test_the_report_on_cars_has_its_tables_and_pictures(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = compose_in(run, ["clean", "stats", "charts"], monkeypatch, title="Cars")[0]["markdown"]
    assert text.startswith("# Cars\n")
    assert "| Horsepower | 400 | 105.1 | 95 | 38.77 | 46 | 75.75 | 130 | 230 |" in text
    assert text.count("![") == 5
    assert "Sentiment by topic" not in text


def test_what_failed_is_named_with_its_reason(compose: Call) -> None:
    text = compose({"a": {"headline": "All well.", "title": "First"}}, missing={"b": "ValueError: a | b"})[
        "markdown"
    ]
    assert "- **First.** All well." in text
    assert "**Not in this report:** `b`, which failed; see below." in text
    assert "## What is missing" in text
    assert "| b | ValueError: a \\| b |" in text
    assert text.endswith("(`a`), without 1 subtask that failed.*\n")


def test_nothing_to_report_is_still_a_report(compose: Call) -> None:
    assert compose({})["markdown"].startswith("# Report\n")
    assert "## What is missing" in compose({}, missing={"a": "no"})["markdown"]


RESULTS: list[tuple[object, str]] = [
    (3.14159, "The result is 3.142."),
    (True, "The result is true."),
    ("some\ntext", "> some\n> text"),
    (None, "It gave no result."),
    ([1, 2], "| 1 | 1 |\n| 2 | 2 |"),
    ([], "0 results."),
    (
        [{"a": 1, "b": "x"}, {"a": 2, "c": None}],
        "| a | b | c |\n| ---: | --- | ---: |\n| 1 | x | – |\n| 2 | – | – |",
    ),
    ({"mean": 2.5, "rows": [{"a": 1}], "deep": {"x": [1]}}, "| mean | 2.5 |"),
    ({}, "## Plain work"),
]


@pytest.mark.parametrize(("result", "shown"), RESULTS)
def test_results_of_any_form_are_shown(compose: Call, result: object, shown: str) -> None:
    text = compose({"plain-work": result})["markdown"]
    assert "## Plain work" in text
    assert shown in text


def test_files_of_plain_work_are_linked(compose: Call, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / "deep").mkdir(parents=True)
    for name in ("a b.png", "deep/c.csv"):
        (folder / name).write_bytes(b"x")
    text = compose({"made": 1}, {"made": folder})["markdown"]
    assert "![A b](artifacts/made/a%20b.png)" in text
    assert "Files: [deep/c.csv](artifacts/made/deep/c.csv)" in text


def test_files_of_any_name_are_linked_to_where_they_are_unpacked(compose: Call, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in (b"\xff.txt", b"two\nlines.png", b"A.csv", b"a.csv"):
        (folder / os.fsdecode(name)).touch()
    report = compose({"odd": 1}, {"odd": folder})
    links = {unquote(link) for link in LINK.findall(report["markdown"])}
    assert links == {f"artifacts/odd/{path}" for path in ("%5Cxff.txt", "two%0Alines.png", "A.csv", "a%-2.csv")}


def test_many_results_of_one_skill_become_one_section(compose: Call) -> None:
    one = {"kind": "image.resize", "title": "Resized images", "headline": "a.png: done.", "pictures": []}
    text = compose({"small": [one, {**one, "headline": "b.png: done."}]})["markdown"]
    assert text.count("## Resized images") == 1
    assert "| 2 | b.png: done. |" in text


HARMFUL = "\x1b[2Jboo\u202e\x9b31m\x07 \ud800"


@pytest.mark.parametrize(
    "result",
    [
        HARMFUL,
        {HARMFUL: HARMFUL},
        [{HARMFUL: HARMFUL}],
        {"headline": HARMFUL, "title": HARMFUL, "notes": [HARMFUL], "tables": [{"title": HARMFUL}]},
    ],
)
def test_nothing_in_a_report_acts_on_a_terminal(compose: Call, result: object) -> None:
    text = compose({"a": result}, goal=HARMFUL, missing={"b": HARMFUL})["markdown"]
    for one in (text, Path("report.md").read_text(encoding="utf-8")):
        assert not set(one) & set("\x1b\x9b\u202e\x07\ud800")
        assert "boo\\u202e" in one


def test_pictures_that_are_not_there_are_not_shown(compose: Call, tmp_path: Path) -> None:
    result = {
        "headline": "x",
        "pictures": [{"file": "gone.png", "caption": "Gone"}, "odd"],
        "tables": [3],
        "notes": 5,
    }
    assert "![" not in compose({"a": result}, {"a": tmp_path})["markdown"]


@given(st.text(max_size=60))
def test_no_text_breaks_out_of_its_cell(text: str) -> None:
    lines = table(["Name", "Text"], [["a", text]]).split("\n")
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", lines[2])) == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("snake_case_name", "snake_case_name"),
        ("_emphasis_", "\\_emphasis\\_"),
        ("<b>bold</b>", "\\<b>bold\\</b>"),
        ("# no heading", "\\# no heading"),
        ("- no item", "\\- no item"),
        ("-0.5", "-0.5"),
        ("1. no list", "1\\. no list"),
        ("![x](y) `z` $5", "!\\[x\\](y) \\`z\\` \\$5"),
        ("two\nlines", "two lines"),
    ],
)
def test_text_reads_as_it_is(text: str, shown: str) -> None:
    assert escaped(text) == shown
