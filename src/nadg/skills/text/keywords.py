"""The words and phrases that a text turns on, by YAKE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Range, RawTable, Shown, skill
from nadg.skills.text.tokens import words_of
from nadg.skills.wording import counted, listed, number
from nadg.skills.writing import write_csv

FILE = "keywords.csv"
_MOST_CHARACTERS = 100_000
"""YAKE looks at a whole text at once; of a longer one, texts spread evenly over it are read."""


@skill(
    "text.keywords",
    synonyms=(
        "keyword",
        "keywords",
        "key words",
        "key phrases",
        "keyphrases",
        "key terms",
        "important terms",
        "important words",
        "tags",
        "terms",
        "keyword extraction",
    ),
    examples=(
        "extract keywords",
        "extract the key phrases from the reviews",
        "which terms matter most in this text",
        "suggest tags for the articles",
    ),
    produces=(FILE,),
)
def keywords(
    table: RawTable,
    column: Annotated[str, Column("text", pick=True), "The column that holds the text."] = "",
    count: Annotated[int, Range(1, 500), "How many keywords to give."] = 20,
    longest: Annotated[int, Range(1, 5), "Words in the longest key phrase."] = 3,
) -> Finding:
    """Extract the keywords and key phrases of a text."""
    from yake import KeywordExtractor

    texts = [text.strip() for text in table[column] if text.strip()]
    read = _spread(texts)
    extractor = KeywordExtractor(lan="en", n=longest, top=count, dedup_lim=0.8)
    found = [(str(phrase), float(score)) for phrase, score in extractor.extract_keywords(_joined(read))]
    if not found:
        raise UserError(f"text.keywords: the texts of column {column!r} hold no words; choose another column")
    occurrences = _occurrences(read, [phrase for phrase, _ in found])
    rows = [(phrase, score, occurrences[phrase.lower()]) for phrase, score in found]
    write_csv(FILE, ["keyword", "score", "occurrences"], rows)
    sampled = [
        f"The text is long: {counted(len(read), 'part')} of {len(texts):,}, spread evenly over it, were read."
    ]
    return Finding(
        title="Keywords",
        headline=f"The text turns on {listed([f'“{phrase}”' for phrase, _ in found[:5]], most=5)}.",
        notes=sampled if len(read) < len(texts) else [],
        tables=[
            Shown(
                title="Keywords, the most telling first (a lower score tells more)",
                columns=["Keyword", "Score", "Occurrences"],
                rows=[[phrase, number(score), times] for phrase, score, times in rows],
            )
        ],
        files=[FILE],
        data={
            "column": column,
            "keywords": [
                {"keyword": phrase, "score": score, "occurrences": times} for phrase, score, times in rows
            ],
        },
    )


def _spread(texts: Sequence[str]) -> list[str]:
    """All texts, or every second, third … so many that they stay within what can be read at once."""
    total = sum(len(text) + 2 for text in texts)
    step = max(1, -(-total // _MOST_CHARACTERS))
    return [text[:_MOST_CHARACTERS] for text in texts[::step]]


def _joined(texts: Sequence[str]) -> str:
    """One text, each part of it a sentence of its own."""
    return "\n".join(text if text[-1] in ".!?" else f"{text}." for text in texts)


def _occurrences(texts: Sequence[str], phrases: Sequence[str]) -> dict[str, int]:
    """How often each phrase, in lower case, stands in the texts that were read."""
    flat = " " + " | ".join(" ".join(words_of(text)) for text in texts) + " "
    return {phrase.lower(): flat.count(f" {' '.join(words_of(phrase))} ") for phrase in phrases}
