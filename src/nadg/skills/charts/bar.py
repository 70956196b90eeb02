"""A figure per category, as bars."""

from __future__ import annotations

from typing import Annotated, Literal

from nadg.skills.api import Column, Finding, Picture, Table, skill
from nadg.skills.charts.style import bars, picture
from nadg.skills.tables.group import NAMES, aggregated
from nadg.skills.wording import counted, number, spaced

FILE = "bar.png"
MOST_BARS = 20


@skill(
    "chart.bar",
    synonyms=("bar chart", "bar graph", "bars", "column chart", "bar plot", "barplot"),
    examples=(
        "draw a bar chart of sales by region",
        "bar chart of the number of cars per Origin",
        "plot the categories as bars",
    ),
    produces=("bar.png",),
)
def bar(
    table: Table,
    category: Annotated[str, Column("category", pick=True), "The column with one bar per value."] = "",
    value: Annotated[
        str | None, Column("number"), "The column that makes the bars long; left out, rows are counted."
    ] = None,
    how: Annotated[
        Literal["mean", "sum", "median", "min", "max"], "The figure made of each bar's values."
    ] = "mean",
) -> Finding:
    """Draw a bar chart: counts, or a figure of a number column, per category."""
    grouped = aggregated(table, category, [value] if value else [], how if value else "count")
    measured = value or "rows"
    grouped = grouped.dropna(subset=[measured])
    shown = grouped.head(MOST_BARS)
    what = f"{NAMES[how].capitalize()} {spaced(value)}" if value else "Number of rows"
    with picture(FILE, width=8, height=1.5 + 0.36 * max(2, len(shown))) as (_, (axes,)):
        bars(axes, list(shown[category].astype(str)), [float(one) for one in shown[measured]])
        left = f" (the {MOST_BARS} largest of {len(grouped)})" if len(grouped) > MOST_BARS else ""
        axes.set_title(f"{what} per {spaced(category)}{left}")
        axes.set_xlabel(spaced(value) if value else "Rows")
    top = grouped.iloc[0]
    return Finding(
        title=f"{what} per {category}",
        headline=f"Of {counted(len(grouped), 'group')}, “{top[category]}” has the largest "
        f"{what[0].lower() + what[1:]}: {number(float(top[measured]))}.",
        pictures=[Picture(file=FILE, caption=f"{what} per {spaced(category)}")],
        data={
            "category": category,
            "value": value,
            "how": how if value else "count",
            "bars": [{"label": row[category], "value": float(row[measured])} for _, row in shown.iterrows()],
        },
    )
