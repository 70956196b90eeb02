"""A summary made of a text's own most telling sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Range, RawTable, skill
from nadg.skills.text.tokens import STOP_WORDS, WORD_PATTERN, sentences_of, words_of
from nadg.skills.wording import counted

FILE = "summary.txt"
_LEAST_WORDS, _MOST_WORDS = 6, 35
_DIVERSITY = 0.3
"""How much a sentence loses for what the summary already says (maximal marginal relevance)."""


@skill(
    "text.summarize",
    synonyms=(
        "summarize the text",
        "summarise the text",
        "shorten",
        "condense",
        "abstract",
        "gist",
        "digest",
        "tl;dr",
        "key sentences",
        "extractive summary",
        "text summary",
        "in a few sentences",
    ),
    examples=(
        "summarize the text",
        "summarise the article in five sentences",
        "give me the gist of this document",
        "condense these notes",
        "shorten the text",
        "summarize the reviews",
    ),
    produces=(FILE,),
)
def summarize(
    table: RawTable,
    column: Annotated[str, Column("text", pick=True), "The column that holds the text."] = "",
    sentences: Annotated[int, Range(1, 100), "How many sentences the summary has."] = 5,
) -> Finding:
    """Summarize a text by its own most telling sentences."""
    everything = list(dict.fromkeys(one for text in table[column] for one in sentences_of(text)))
    usable = [one for one in everything if _LEAST_WORDS <= len(words_of(one)) <= _MOST_WORDS] or everything
    if not usable:
        raise UserError(f"text.summarize: the texts of column {column!r} hold no sentences; choose another column")
    chosen = [usable[place] for place in sorted(_most_telling(usable, min(sentences, len(usable))))]
    Path(FILE).write_text("\n".join(chosen) + "\n", encoding="utf-8")
    return Finding(
        title="Summary",
        headline=f"{counted(len(chosen), 'sentence')} of {len(everything):,} that say most of the whole:",
        notes=chosen,
        files=[FILE],
        data={
            "column": column,
            "summary": " ".join(chosen),
            "sentences": chosen,
            "sentences_read": len(everything),
        },
    )


def _most_telling(sentences: Sequence[str], count: int) -> list[int]:
    """Places of the sentences nearest to the whole text, each unlike those chosen before it."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(stop_words=sorted(STOP_WORDS), token_pattern=WORD_PATTERN, sublinear_tf=True)
    try:
        matrix = vectorizer.fit_transform(sentences)
    except ValueError:  # only stop words: one sentence is as good as the next
        return list(range(count))
    centre = np.asarray(matrix.sum(axis=0)).ravel()
    relevance = matrix @ (centre / (np.linalg.norm(centre) or 1.0))
    repeated = np.zeros(len(sentences))
    chosen: list[int] = []
    for _ in range(count):
        worth = (1 - _DIVERSITY) * relevance - _DIVERSITY * repeated
        worth[chosen] = -np.inf
        best = int(np.argmax(worth.round(12)))
        chosen.append(best)
        repeated = np.maximum(repeated, (matrix @ matrix[best].T).toarray().ravel())
    return chosen
