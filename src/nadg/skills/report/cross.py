"""What two subtasks say together: sentiment by topic, where both tell of the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg.skills.marks import Needs
from nadg.skills.report.sections import Section
from nadg.skills.text.topics import NO_TOPIC
from nadg.skills.wording import number, percent

if TYPE_CHECKING:
    import pandas as pd

PICTURE = "sentiment_by_topic.png"
_SENTIMENT, _TOPICS = "sentiment.csv", "topics.csv"
_MOST_TOPICS = 20


def cross_section(needs: Needs, subtask: str) -> Section | None:
    """Sentiment by topic with its picture; None where no two needs tell both of the same rows."""
    table = _both(needs)
    if table is None or table["topic"].nunique() < 2:
        return None
    grouped = table.groupby("topic")
    figures = grouped["compound"].agg(["size", "mean"])
    for label in ("positive", "negative"):
        figures[label] = (table["sentiment"] == label).groupby(table["topic"]).mean()
    figures = figures.sort_values("mean", ascending=False, kind="stable").head(_MOST_TOPICS)
    _draw(figures)
    named = figures["mean"].drop(index=NO_TOPIC, errors="ignore")
    best, worst = (f"“{named.index[end]}” ({number(float(named.iloc[end]))})" for end in (0, -1))
    return Section(
        subtask=subtask,
        title="Sentiment by topic",
        headline=f"By mean compound score people write most favourably about {best} and least about {worst}.",
        tables=(
            (
                "Topics by mean sentiment",
                ["Topic", "Texts", "Mean compound", "Positive", "Negative"],
                [
                    [
                        topic,
                        int(one["size"]),
                        f"{one['mean']:.3f}",
                        percent(one["positive"], 1),
                        percent(one["negative"], 1),
                    ]
                    for topic, one in figures.iterrows()
                ],
            ),
        ),
        pictures=((PICTURE, "Mean compound score of each topic"),),
    )


def _both(needs: Needs) -> pd.DataFrame | None:
    import pandas as pd

    scored = _read(needs, _SENTIMENT, ("compound", "sentiment"))
    sorted_by_topic = _read(needs, _TOPICS, ("topic",))
    if scored is None or sorted_by_topic is None or len(scored) != len(sorted_by_topic):
        return None
    shared = [name for name in scored.columns[:-2] if name in sorted_by_topic.columns[:-1]]
    if not shared or not scored[shared].equals(sorted_by_topic[shared]):
        return None
    return pd.DataFrame(
        {
            "compound": pd.to_numeric(scored.iloc[:, -2], errors="coerce"),
            "sentiment": scored.iloc[:, -1],
            "topic": sorted_by_topic.iloc[:, -1],
        }
    ).dropna()


def _read(needs: Needs, file: str, columns: tuple[str, ...]) -> pd.DataFrame | None:
    """The first file of that name among the needs, when its last columns are the expected ones."""
    import pandas as pd

    for folder in needs.folders.values():
        if (folder / file).is_file():
            table = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
            last = [str(name) for name in table.columns[-len(columns) :]]
            if all(name.startswith(wanted) for name, wanted in zip(last, columns, strict=True)):
                return table
    return None


def _draw(figures: pd.DataFrame) -> None:
    from nadg.skills.charts.style import INK, NEGATIVE, NEUTRAL, POSITIVE, bars, picture

    means = [round(float(mean), 3) for mean in figures["mean"]]
    colors = [POSITIVE if mean >= 0.05 else NEGATIVE if mean <= -0.05 else NEUTRAL for mean in means]
    with picture(PICTURE, width=8, height=1.5 + 0.38 * max(2, len(means))) as (_, (axes,)):
        bars(axes, [str(topic) for topic in figures.index], means, colors=colors)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_title("Sentiment by topic")
        axes.set_xlabel("Mean compound score, from -1 (negative) to 1 (positive)")
