"""How positive or negative each text is, by the VADER lexicon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from nadg.skills.api import Column, Finding, Part, Picture, RawTable, Shown, skill
from nadg.skills.text.scores import FILE, PICTURE, Correlation, read_parts
from nadg.skills.wording import counted, listed, number, percent, shortened
from nadg.skills.writing import write_csv

Label = Literal["positive", "negative", "neutral"]
LABELS: tuple[Label, ...] = ("positive", "neutral", "negative")
THRESHOLD = 0.05
"""From the authors of VADER: positive from +0.05, negative to -0.05."""
_EXAMPLES = 3


def label_of(compound: float) -> Label:
    """The word for a compound score."""
    if compound >= THRESHOLD:
        return "positive"
    return "negative" if compound <= -THRESHOLD else "neutral"


def merge_sentiment(parts: Sequence[Part]) -> Finding:
    """One table of all rows in order, their figures and a picture."""
    scored = read_parts(parts)
    with_words = scored.correlations()
    counts = {label: sum(label_of(one) == label for one in scored.compounds) for label in LABELS}
    total = len(scored.compounds)
    mean = sum(scored.compounds) / total if total else 0.0
    _draw(scored.compounds, counts)
    shares = listed([f"{percent(counts[label], total)} {label}" for label in LABELS]).replace(" ", " are ", 1)
    return Finding(
        title="Sentiment",
        headline=f"Of {counted(total, 'text')}, {shares}; "
        f"the mean compound score is {number(mean)} (from -1 to 1).",
        notes=[_correlation_sentence(one) for one in with_words],
        tables=[
            Shown(
                title="Texts by sentiment",
                columns=["Sentiment", "Texts", "Share"],
                rows=[[label, counts[label], percent(counts[label], total)] for label in LABELS],
            ),
            *_correlation_table(with_words),
            _examples_table("Most positive texts", scored.most_positive(_EXAMPLES)),
            _examples_table("Most negative texts", scored.most_negative(_EXAMPLES)),
        ],
        pictures=[Picture(file=PICTURE, caption="How the compound scores are spread")],
        files=[FILE],
        data={
            "column": scored.column,
            "rows": total,
            "counts": counts,
            "mean_compound": mean,
            "correlations": with_words,
            "most_positive": scored.most_positive(_EXAMPLES),
            "most_negative": scored.most_negative(_EXAMPLES),
        },
    )


@skill(
    "text.sentiment",
    synonyms=(
        "sentiment",
        "sentiments",
        "sentiment analysis",
        "mood",
        "moods",
        "emotion",
        "feeling",
        "feelings",
        "opinion",
        "opinions",
        "tone",
        "attitude",
        "polarity",
        "positive or negative",
        "satisfaction",
        "how happy",
        "happy",
        "unhappy",
        "how positive",
        "how negative",
        "positive",
        "negative",
    ),
    examples=(
        "analyze the sentiment of customer reviews",
        "how positive or negative are these comments",
        "classify the reviews as positive, negative or neutral",
        "rate the mood of each message",
        "find out whether customers are happy",
    ),
    maps_over="rows",
    merge=merge_sentiment,
    produces=(FILE, PICTURE),
)
def sentiment(
    table: RawTable,
    column: Annotated[str, Column("text", pick=True), "The column that holds the text."] = "",
) -> dict[str, object]:
    """Score how positive or negative each text is.

    Gives every row a compound score from -1 to 1 and a sentiment (positive from 0.05, negative to -0.05, else
    neutral), and tells how the scores go with the number columns, such as ratings.
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    compounds = [float(analyzer.polarity_scores(text)["compound"]) for text in table[column]]
    cells: Iterable[Sequence[str]] = table.itertuples(index=False, name=None)
    rows = ([*row, f"{one:.4f}", label_of(one)] for row, one in zip(cells, compounds, strict=True))
    write_csv(FILE, [*table.columns, "compound", "sentiment"], rows)
    return {"column": column, "rows": len(compounds)}


def _correlation_sentence(one: Correlation) -> str:
    return (
        f"The scores correlate with the column {one.column}: {one.pearson:.3f} (Pearson) "
        f"and {one.spearman:.3f} (Spearman) over {counted(one.rows, 'row')}."
    )


def _correlation_table(correlations: Sequence[Correlation]) -> list[Shown]:
    if not correlations:
        return []
    rows = [[one.column, f"{one.pearson:.4f}", f"{one.spearman:.4f}", one.rows] for one in correlations]
    columns = ["Column", "Pearson", "Spearman", "Rows"]
    return [Shown(title="Correlation of the compound score with number columns", columns=columns, rows=rows)]


def _examples_table(title: str, examples: Sequence[dict[str, object]]) -> Shown:
    rows = [[one["row"], one["compound"], shortened(str(one["text"]), 160)] for one in examples]
    return Shown(title=title, columns=["Row", "Compound", "Text"], rows=rows)


def _draw(compounds: Sequence[float], counts: dict[Label, int]) -> None:
    from nadg.skills.charts.style import NEGATIVE, NEUTRAL, POSITIVE, bars, picture, thousands

    colors = {"positive": POSITIVE, "neutral": NEUTRAL, "negative": NEGATIVE}
    with picture(PICTURE, width=10, height=4, columns=2) as (_, (left, right)):
        bars(left, [label.capitalize() for label in LABELS], [counts[label] for label in LABELS],
             colors=[colors[label] for label in LABELS])  # fmt: skip
        left.set_title("Texts by sentiment")
        left.set_xlabel("Texts")
        edges = [place / 10 - 1.05 for place in range(22)]  # the middle bar holds just the neutral scores
        right.hist(list(compounds), bins=edges)
        for low, bar in zip(edges, right.patches, strict=False):
            bar.set_facecolor(colors[label_of(round(low + 0.05, 2))])
            bar.set_edgecolor("white")
        right.set_xticks([-1, -0.5, 0, 0.5, 1])
        right.set_title("Compound scores")
        right.set_xlabel("from -1 (negative) to 1 (positive)")
        right.set_ylabel("Texts")
        thousands(right, "y")
