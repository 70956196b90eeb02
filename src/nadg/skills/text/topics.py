"""What the texts are about: topics found by factorising their TF-IDF matrix."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Picture, Range, RawTable, Shown, skill
from nadg.skills.text.tokens import STOP_WORDS, WORD_PATTERN, words_of
from nadg.skills.wording import counted, listed, percent, shortened
from nadg.skills.writing import free_name, write_csv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

FILE = "topics.csv"
PICTURE = "topics.png"
NO_TOPIC = "other"
_MOST_AUTO = 8
_TEXTS_PER_TOPIC = 12
_MOST_WORDS = 5000
_LABEL_WORDS = 3
_TOP_WORDS = 8
_EXAMPLES = 3
_TELLING = (6, 30)
_OPINION_WORDS = """
good great best better nice excellent bad worse worst love loved like liked hate perfect awesome amazing
terrible horrible awful wonderful fantastic poor pretty recommend recommended happy pleased highly definitely
absolutely simply buy bought purchase purchased want wanted need needed now yes thing got works work worked
time day days week weeks month months year years far long little big think know people say said
"""
_OPINIONS = frozenset(_OPINION_WORDS.split())
"""Words that tell what people think of a thing, or when, but not what the thing is."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic: its label, the words that carry it, and the rows that belong to it, the most typical first."""

    label: str
    words: tuple[str, ...]
    rows: tuple[int, ...]


@skill(
    "text.topics",
    synonyms=(
        "topic",
        "topics",
        "theme",
        "themes",
        "subject",
        "subjects",
        "categorize by topic",
        "group by topic",
        "cluster texts",
        "topic model",
        "topic modelling",
        "issues people talk about",
        "what they are about",
        "what are they about",
        "what is it about",
    ),
    examples=(
        "categorize them by topic",
        "categorise the reviews into themes",
        "find the main topics in the comments",
        "group the messages by subject",
        "what do customers talk about",
        "cluster the documents",
    ),
    produces=(FILE, PICTURE),
)
def topics(
    table: RawTable,
    column: Annotated[str, Column("text", pick=True), "The column that holds the text."] = "",
    count: Annotated[int | None, Range(2, 50), "How many topics; left out, as many as the texts carry."] = None,
) -> Finding:
    """Sort texts into topics that are found in the texts themselves.

    Gives every row a topic, and tells each topic's size, top words and typical sentences.
    """
    texts = list(table[column])
    found = _topics(texts, column, count)
    label_of_row = {row: topic.label for topic in found for row in topic.rows}
    labels = [label_of_row.get(row, NO_TOPIC) for row in range(len(texts))]
    cells = table.itertuples(index=False, name=None)
    rows = ([*row, label] for row, label in zip(cells, labels, strict=True))
    write_csv(FILE, [*table.columns, free_name("topic", list(table.columns))], rows)
    _draw(found)
    return _finding(column, texts, found, labels.count(NO_TOPIC))


def _finding(column: str, texts: Sequence[str], found: Sequence[Topic], unplaced: int) -> Finding:
    total = len(texts)
    largest = found[0]
    headline = (
        f"The {counted(total, 'text')} fall into {counted(len(found), 'topic')}; the largest is "
        f"“{largest.label}” with {percent(len(largest.rows), total)} of them."
    )
    no_topic = f"{counted(unplaced, 'text')} had no word in common with any topic and stand as “{NO_TOPIC}”."
    examples = [[topic.label, shortened(texts[_typical(topic, texts)[0]], 160)] for topic in found]
    return Finding(
        title="Topics",
        headline=headline,
        notes=[no_topic] if unplaced else [],
        tables=[
            Shown(
                title="Topics by size",
                columns=["Topic", "Texts", "Share", "Top words"],
                rows=[
                    [topic.label, len(topic.rows), percent(len(topic.rows), total), ", ".join(topic.words)]
                    for topic in found
                ],
            ),
            Shown(title="A typical text of each topic", columns=["Topic", "Text"], rows=examples),
        ],
        pictures=[Picture(file=PICTURE, caption="How many texts each topic has")],
        files=[FILE],
        data={
            "column": column,
            "rows": total,
            "without_topic": unplaced,
            "topics": [
                {
                    "topic": topic.label,
                    "texts": len(topic.rows),
                    "words": topic.words,
                    "examples": [texts[row] for row in _typical(topic, texts)[:_EXAMPLES]],
                }
                for topic in found
            ],
        },
    )


def _typical(topic: Topic, texts: Sequence[str]) -> Sequence[int]:
    """Rows that stand for the topic; whole sentences before the single words that often score highest."""
    telling = [row for row in topic.rows[:200] if _TELLING[0] <= len(words_of(texts[row])) <= _TELLING[1]]
    return telling or topic.rows


def _topics(texts: Sequence[str], column: str, count: int | None) -> list[Topic]:
    """The topics, largest first; no row is in two. The same texts always give the same topics."""
    import numpy as np

    weights, parts, vocabulary = _factorised(texts, column, count)
    strongest = weights.argmax(axis=1)
    placed = weights.max(axis=1) > 0
    found: list[Topic] = []
    taken: set[str] = set()
    for number in np.argsort(-np.bincount(strongest[placed], minlength=len(parts)), kind="stable"):
        members = np.flatnonzero(placed & (strongest == number))
        if not len(members):
            continue
        typical = members[np.argsort(-weights[members, number], kind="stable")]
        ranked = [str(vocabulary[place]) for place in np.argsort(-parts[number], kind="stable")[:_TOP_WORDS]]
        label = _label(ranked, taken)
        found.append(Topic(label=label, words=tuple(ranked), rows=tuple(int(row) for row in typical)))
    return found


def _factorised(texts: Sequence[str], column: str, count: int | None) -> tuple[Matrix, Matrix, Sequence[str]]:
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer

    rare = 3 if len(texts) >= 200 else 1
    vectorizer = TfidfVectorizer(
        stop_words=sorted(STOP_WORDS | _OPINIONS),
        token_pattern=WORD_PATTERN,
        sublinear_tf=True,
        min_df=rare,
        max_df=0.4 if len(texts) >= 20 else 1.0,
        max_features=_MOST_WORDS,
    )
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError as error:  # how scikit-learn says that no word is left
        raise UserError(
            f"text.topics: the texts of column {column!r} have too few words in common to find topics; "
            "give more or longer texts"
        ) from error
    most = min(matrix.shape)
    topics_wanted = min(count or min(_MOST_AUTO, max(2, len(texts) // _TEXTS_PER_TOPIC)), most)
    model = NMF(topics_wanted, init="nndsvd", random_state=0, max_iter=400, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weights = model.fit_transform(matrix)
    scale = model.components_.max(axis=1)
    return weights * scale, model.components_, vectorizer.get_feature_names_out()


def _label(ranked: Sequence[str], taken: set[str]) -> str:
    """The first words that do not only repeat each other: `phone, nokia, cell`."""
    chosen: list[str] = []
    for word in ranked:
        if not any(word.rstrip("s") == other.rstrip("s") for other in chosen):
            chosen.append(word)
    label = ", ".join(chosen[:_LABEL_WORDS])
    while label in taken:
        label += " *"
    taken.add(label)
    return label


def _draw(found: Sequence[Topic]) -> None:
    from nadg.skills.charts.style import bars, picture

    shown = found[:20]
    with picture(PICTURE, width=8, height=1.4 + 0.38 * len(shown)) as (_, (axes,)):
        bars(axes, [topic.label for topic in shown], [len(topic.rows) for topic in shown])
        axes.set_title(
            "Texts by topic" if len(shown) == len(found) else f"The {listed([str(len(shown))])} largest topics"
        )
        axes.set_xlabel("Texts")
