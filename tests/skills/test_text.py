"""Topics, keywords, summaries and duplicates on real sentences, and on texts that have none."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.errors import UserError
from nadg.skills.text.tokens import sentences_of, words_of

Call = Callable[..., Any]
Write = Callable[[str, str], Path]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_row_gets_a_topic_and_the_same_again(call: Call, reviews: Path, here: Path) -> None:
    first = call("text.topics", reviews)
    table = (here / "topics.csv").read_bytes()
    assert call("text.topics", reviews) == first
    assert (here / "topics.csv").read_bytes() == table
    rows, source = read(here / "topics.csv"), read(reviews)
    assert [row["id"] for row in rows] == [row["id"] for row in source]
    sizes = {one["topic"]: one["texts"] for one in first["topics"]}
    assert len(sizes) == 8
    assert sum(sizes.values()) + first["without_topic"] == 3708
    assert {row["topic"] for row in rows} <= {*sizes, "other"}
    labels = " ".join(sizes)
    assert all(word in labels for word in ("camera", "phone", "player", "dvd", "software"))


def test_the_number_of_topics_can_be_asked_for(call: Call, reviews: Path) -> None:
    assert len(call("text.topics", reviews, count=3)["topics"]) == 3


def test_topics_of_a_few_short_texts(call: Call, file: Write, here: Path) -> None:
    texts = ["the red apple tree", "an apple pie recipe", "my car engine broke", "the engine of a car"]
    call("text.topics", file("t.txt", "\n".join(texts)))
    labels = [row["topic"] for row in read(here / "topics.csv")]
    assert labels[0] == labels[1] != labels[2] == labels[3]


def test_texts_without_words_have_no_topics(call: Call, file: Write) -> None:
    with pytest.raises(UserError, match="too few words in common to find topics; give more or longer texts"):
        call("text.topics", file("t.csv", "text\n1 2 3\nthe of and it\n"), column="text")


def test_keywords_of_reviews(call: Call, reviews: Path, here: Path) -> None:
    result = call("text.keywords", reviews, count=15)
    found = [one["keyword"] for one in result["keywords"]]
    assert {"player", "camera", "phone"} <= set(found)
    assert [row["keyword"] for row in read(here / "keywords.csv")] == found
    assert all(one["occurrences"] > 0 for one in result["keywords"])
    assert "were read" in result["notes"][0]


def test_keywords_are_no_longer_than_asked(call: Call, file: Write) -> None:
    text = "Deep learning models need training data.\nTraining data for deep learning models is scarce.\n"
    found = call("text.keywords", file("t.txt", text), longest=1)["keywords"]
    assert all(" " not in one["keyword"] for one in found)


def test_no_words_no_keywords(call: Call, file: Write) -> None:
    with pytest.raises(UserError, match="hold no words; choose another column"):
        call("text.keywords", file("t.txt", "1 2 3\n!!!\n"), column="text")


def test_a_summary_is_made_of_the_texts_own_sentences(call: Call, reviews: Path, here: Path) -> None:
    result = call("text.summarize", reviews, sentences=4)
    everything = {one for row in read(reviews) for one in sentences_of(row["text"])}
    assert len(result["sentences"]) == 4
    assert set(result["sentences"]) <= everything
    assert (here / "summary.txt").read_text().splitlines() == result["sentences"]


def test_a_short_text_is_its_own_summary(call: Call, file: Write) -> None:
    result = call("text.summarize", file("t.txt", "One short line.\n"), sentences=9, column="text")
    assert result["summary"] == "One short line."


def test_duplicates_near_and_exact(call: Call, file: Write, here: Path) -> None:
    texts = [
        "The cat sat on the mat.",
        "the cat SAT on the mat",
        "the cat sat on the old mat!",
        "Dogs bark at night.",
        "?",
    ]
    result = call("text.duplicates", file("t.txt", "\n".join(texts)), threshold=0.7)
    assert result["groups"] == [[1, 2, 3]]
    assert (result["surplus"], result["exact"]) == (2, 1)
    assert [row["row"] for row in read(here / "duplicates.csv")] == ["1", "2", "3"]
    assert call("text.duplicates", file("t.txt", "\n".join(texts)), threshold=1)["groups"] == [[1, 2]]


def test_no_duplicates(call: Call, file: Write, here: Path) -> None:
    result = call("text.duplicates", file("t.txt", "the first of the lines\na wholly other one here\n"))
    assert result["headline"] == "No two of the 2 texts are alike (threshold 0.8)."
    assert read(here / "duplicates.csv") == []


def test_duplicates_of_reviews(call: Call, reviews: Path) -> None:
    result = call("text.duplicates", reviews)
    texts = [row["text"] for row in read(reviews)]
    assert 15 <= len(result["groups"]) <= 30
    for group in result["groups"]:
        first = set(words_of(texts[group[0] - 1]))
        assert all(first & set(words_of(texts[row - 1])) for row in group)


def test_no_words_to_count(call: Call, file: Write) -> None:
    with pytest.raises(UserError, match="hold no words to count; choose another column or set `stop_words: true`"):
        call("text.words", file("t.txt", "the of and it\n"))
    assert call("text.words", file("t.txt", "the of and it\n"), stop_words=True)["total_words"] == 4


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met Mr. Jones. They spoke.", ["Dr. Smith met Mr. Jones.", "They spoke."]),
        ("It costs 3.50 now. Fine", ["It costs 3.50 now.", "Fine"]),
        ("no end\n\nnew paragraph", ["no end", "new paragraph"]),
        ("", []),
    ],
)
def test_where_sentences_end(text: str, sentences: list[str]) -> None:
    assert list(sentences_of(text)) == sentences


def test_words_keep_their_apostrophes_and_hyphens() -> None:
    assert words_of("Don’t re-use MP3-players, it's 5 o'clock") == [
        "don't",
        "re-use",
        "mp3-players",
        "it's",
        "o'clock",
    ]
