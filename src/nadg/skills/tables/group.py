"""Figures per group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Picture, Shown, Table, skill
from nadg.skills.columns import number_columns
from nadg.skills.wording import counted, number, spaced
from nadg.skills.writing import write_frame

if TYPE_CHECKING:
    import pandas as pd

FILE = "groups.csv"
PICTURE = "groups.png"
How = Literal["mean", "sum", "median", "min", "max", "count", "std"]
NAMES: dict[str, str] = {
    "mean": "average",
    "sum": "total",
    "median": "median",
    "min": "smallest",
    "max": "largest",
    "count": "number of",
    "std": "standard deviation of",
}
MISSING_GROUP = "(missing)"
_SHOWN = 20
_DRAWN = 15


@skill(
    "table.group",
    synonyms=(
        "group",
        "group by",
        "aggregate",
        "aggregation",
        "pivot",
        "breakdown",
        "break down",
        "per",
        "for each",
        "by category",
        "average per",
        "mean by",
        "sum per",
        "total per",
        "count per",
        "totals by",
        "average by",
        "sum by",
        "count by",
        "compare across",
    ),
    examples=(
        "average price per region",
        "total sales by month",
        "count the rows per category",
        "group by country and sum the revenue",
        "mean Horsepower for each Origin",
        "break the costs down by department",
    ),
    produces=("groups.csv", "groups.png"),
)
def group(
    table: Table,
    by: Annotated[str, Column("category", pick=True), "The column whose values make the groups."] = "",
    values: Annotated[
        list[str] | None, Column("number"), "The columns to aggregate; left out, all with numbers."
    ] = None,
    how: Annotated[How, "The figure that is made of each group."] = "mean",
) -> Finding:
    """Group rows and aggregate each group: average, total, count and the like per category.

    `groups.csv` has every group with its number of rows; missing values of a column are left out of its figures.
    """
    chosen = values or [name for name in number_columns(table) if name != by]
    if not chosen and how != "count":
        raise UserError(f"table.group: no column of numbers is left to make a {how} of; use `how: count`")
    grouped = aggregated(table, by, chosen, how)
    write_frame(FILE, grouped)
    first = chosen[0] if chosen and how != "count" else "rows"
    _draw(grouped, by, first, how)
    return _finding(grouped, by, chosen if how != "count" else [], first, how)


def aggregated(table: pd.DataFrame, by: str, values: list[str], how: How) -> pd.DataFrame:
    """One row per group: its label, its number of rows, a figure per column; the largest first figure on top."""
    labels = group_labels(table[by])
    result = labels.value_counts(sort=False).sort_index().rename("rows").to_frame()
    if how != "count":
        for name in values:
            result[name] = getattr(table[name].groupby(labels), how)()
    order = values[0] if values and how != "count" else "rows"
    result = result.sort_values(order, ascending=False, kind="stable")
    result.index.name = by
    return result.reset_index()


def group_labels(column: pd.Series) -> pd.Series:
    """Group names as text; a date without a time of day is written without one."""
    if column.dtype.kind == "M":
        plain_dates = (column.dropna().dt.normalize() == column.dropna()).all()
        text = column.dt.strftime("%Y-%m-%d" if plain_dates else "%Y-%m-%d %H:%M")
    else:
        text = column.map(
            lambda cell: number(cell) if isinstance(cell, int | float) else str(cell), na_action="ignore"
        )
    labels: pd.Series = text.astype(object).where(column.notna(), MISSING_GROUP)
    return labels


def _finding(grouped: pd.DataFrame, by: str, chosen: list[str], first: str, how: How) -> Finding:
    top, bottom = grouped.iloc[0], grouped.iloc[-1]
    what = "number of rows" if first == "rows" else f"{NAMES[how]} {first}"
    rows = [
        [row[by], int(row["rows"]), *(number(float(row[name])) for name in chosen)]
        for _, row in grouped.head(_SHOWN).iterrows()
    ]
    more = len(grouped) - len(rows)
    return Finding(
        title=f"{what.capitalize() if first == 'rows' else what[0].upper() + what[1:]} per {by}",
        headline=f"Of {counted(len(grouped), 'group')} by {by}, “{top[by]}” has the largest {what} "
        f"({number(float(top[first]))}), “{bottom[by]}” the smallest ({number(float(bottom[first]))}).",
        notes=[f"{counted(more, 'more group')} stand in {FILE}."] if more else [],
        tables=[
            Shown(
                title=f"Groups by {by}",
                columns=[by, "Rows", *(f"{NAMES[how]} {name}" for name in chosen)],
                rows=rows,
            )
        ],
        pictures=[Picture(file=PICTURE, caption=f"{what[0].upper()}{what[1:]} per {by}")],
        files=[FILE],
        data={
            "by": by,
            "how": how,
            "group_count": len(grouped),
            "groups": [
                {"group": row[by], "rows": int(row["rows"]), **{name: float(row[name]) for name in chosen}}
                for _, row in grouped.head(1000).iterrows()
            ],
        },
    )


def _draw(grouped: pd.DataFrame, by: str, first: str, how: How) -> None:
    from nadg.skills.charts.style import bars, picture

    shown = grouped.dropna(subset=[first]).head(_DRAWN)
    what = "Number of rows" if first == "rows" else f"{NAMES[how].capitalize()} {spaced(first)}"
    with picture(PICTURE, width=8, height=1.5 + 0.36 * max(2, len(shown))) as (_, (axes,)):
        bars(axes, list(shown[by].astype(str)), [float(one) for one in shown[first]])
        left = f" (the {_DRAWN} largest of {len(grouped)})" if len(grouped) > _DRAWN else ""
        axes.set_title(f"{what} per {spaced(by)}{left}")
        axes.set_xlabel("Rows" if first == "rows" else spaced(first))
