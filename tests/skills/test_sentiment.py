"""Sentiment, split or whole, equals one process that runs VADER over every row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from nadg.domain.errors import UserError
from nadg.domain.rows import read_rows, table_shape
from nadg.skills.call import run_skill

Call = Callable[..., Any]


def batches_of(path: Path, size: int) -> list[list[dict[str, str]]]:
    """The table cut as the orchestrator cuts it."""
    content = path.read_bytes()
    shape = table_shape(path.name, io.BytesIO(content), size)
    header = content[: shape.header_stop]
    return [read_rows(path.name, header, content[one.start : one.stop]) for one in shape.batches]


def run_split(
    skill: str, path: Path, batches: Sequence[Sequence[Mapping[str, object]]], folder: Path, **args: object
) -> Any:
    """Every batch in a folder of its own, then the merge in one."""
    monkeypatch = pytest.MonkeyPatch()
    parts = []
    given = {"inputs": {path.name: str(path)}, "needs": {}, "needs_files": {}, "missing": {}}
    with monkeypatch.context() as patch:
        for number, rows in enumerate(batches):
            part = folder / f"part-{number}"
            part.mkdir(parents=True)
            patch.chdir(part)
            parts.append({"result": run_skill(skill, args, rows=rows, **given), "folder": str(part)})  # type: ignore[arg-type]
        merged = folder / "merged"
        merged.mkdir()
        patch.chdir(merged)
        return run_skill(skill, args, parts=parts, **given)  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_split_and_merged_equals_one_process_row_by_row(reviews: Path, tmp_path: Path) -> None:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    result = run_split("text.sentiment", reviews, batches_of(reviews, 500), tmp_path)
    source, scored = read(reviews), read(tmp_path / "merged" / "sentiment.csv")
    assert len(scored) == len(source) == 3708
    for before, after in zip(source, scored, strict=True):
        compound = analyzer.polarity_scores(before["text"])["compound"]
        expected = "positive" if compound >= 0.05 else "negative" if compound <= -0.05 else "neutral"
        assert {name: after[name] for name in before} == before
        assert (float(after["compound"]), after["sentiment"]) == (compound, expected)
    assert sum(result["counts"].values()) == 3708


def test_whole_and_split_give_the_same_result_and_file(
    reviews: Path, tmp_path: Path, here: Path, call: Call
) -> None:
    whole = call("text.sentiment", reviews)
    split = run_split("text.sentiment", reviews, batches_of(reviews, 1000), tmp_path)
    assert whole == split
    assert (here / "sentiment.csv").read_bytes() == (tmp_path / "merged" / "sentiment.csv").read_bytes()
    assert sorted(path.name for path in here.iterdir()) == ["sentiment.csv", "sentiment.png"]


def test_the_correlation_with_the_human_ratings_is_in_the_result(reviews: Path, call: Call, here: Path) -> None:
    import pandas as pd

    result = call("text.sentiment", reviews)
    scored = pd.read_csv(here / "sentiment.csv")
    expected = {
        "column": "human_rating",
        "pearson": pytest.approx(scored["human_rating"].corr(scored["compound"]), abs=1e-6),
        "spearman": pytest.approx(scored["human_rating"].rank().corr(scored["compound"].rank()), abs=1e-6),
        "rows": 3708,
    }
    assert result["correlations"] == [expected]
    assert result["column"] == "text"
    assert "correlate with the column human_rating: 0.590 (Pearson) and 0.592 (Spearman)" in result["notes"][0]


words = st.sampled_from(["good", "bad", "table", "", "I love it!", "not good at all", 'a, "b"\nc', "été", "-0.5"])
any_rows = st.lists(
    st.tuples(words, words, st.sampled_from(["1", "2.5", "", "n/a", "-3"])), min_size=1, max_size=14
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(any_rows, st.integers(1, 6))
def test_any_partition_gives_the_same(tmp_path_factory: Any, cells: list[tuple[str, str, str]], size: int) -> None:
    folder = tmp_path_factory.mktemp("partition")
    path = folder / "t.csv"
    cells = [("a text in words", "", "1"), *cells]
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("text", "compound", "stars"), *cells])
    one = run_split("text.sentiment", path, batches_of(path, 1000), folder / "one", column="text")
    many = run_split("text.sentiment", path, batches_of(path, size), folder / "many", column="text")
    assert one == many
    table = (folder / "many" / "merged" / "sentiment.csv").read_text(encoding="utf-8")
    assert (folder / "one" / "merged" / "sentiment.csv").read_text(encoding="utf-8") == table
    records = list(csv.reader(io.StringIO(table, newline="")))
    assert records[0] == ["text", "compound", "stars", "compound_2", "sentiment"]
    assert [tuple(record[:3]) for record in records[1:]] == cells


def test_json_lines_whose_rows_lack_columns(file: Callable[[str, str], Path], tmp_path: Path) -> None:
    lines = '{"review": "good", "n": 1}\n{"n": 2}\n{"review": "bad", "extra": "x"}\n'
    path = file("t.jsonl", lines)
    split = run_split("text.sentiment", path, batches_of(path, 1), tmp_path / "split", column="review")
    assert split["rows"] == 3
    assert read(tmp_path / "split" / "merged" / "sentiment.csv") == [
        {"review": "good", "n": "1", "extra": "", "compound": "0.4404", "sentiment": "positive"},
        {"review": "", "n": "2", "extra": "", "compound": "0.0000", "sentiment": "neutral"},
        {"review": "bad", "n": "", "extra": "x", "compound": "-0.5423", "sentiment": "negative"},
    ]


def test_batches_that_chose_different_columns_are_refused(tmp_path: Path, here: Path) -> None:
    parts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sentiment.csv").write_text(f"{name},compound,sentiment\nx,0.0,neutral\n")
        parts.append({"result": {"column": name, "rows": 1}, "folder": str(tmp_path / name)})
    with pytest.raises(UserError, match="chose the columns 'a' and 'b'; set the argument 'column'"):
        run_skill("text.sentiment", {}, inputs={}, needs={}, needs_files={}, missing={}, parts=parts)


def test_identifiers_and_constants_have_no_correlation(call: Call, file: Callable[[str, str], Path]) -> None:
    rows = [f"{n},{n * 3},5,{n % 2},{'good' if n % 2 else 'bad'} thing that I have" for n in range(8)]
    path = file("t.csv", "number,order_id,same,half,text\n" + "\n".join(rows) + "\n")
    assert [one["column"] for one in call("text.sentiment", path)["correlations"]] == ["half"]


def test_a_plain_text_file_is_a_row_per_line(call: Call, file: Callable[[str, str], Path], here: Path) -> None:
    result = call("text.sentiment", file("notes.txt", "I love this.\n\nThis is bad.\nSo so.\n"))
    assert result["counts"] == {"positive": 1, "neutral": 1, "negative": 1}
    assert [row["sentiment"] for row in read(here / "sentiment.csv")] == ["positive", "negative", "neutral"]


def test_words_split_and_whole_give_the_same_counts(reviews: Path, tmp_path: Path, call: Call, here: Path) -> None:
    whole = call("text.words", reviews)
    split = run_split("text.words", reviews, batches_of(reviews, 900), tmp_path)
    assert whole == split
    assert (here / "words.csv").read_bytes() == (tmp_path / "merged" / "words.csv").read_bytes()
    assert whole["top"]["2"]["battery life"] == 47
