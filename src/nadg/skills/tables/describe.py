"""The statistics of a table's number columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Shown, Table, skill
from nadg.skills.columns import number_columns
from nadg.skills.tables.correlate import Pair, closest_pairs, correlations
from nadg.skills.wording import counted, listed, number, percent, shortened
from nadg.skills.writing import write_csv

if TYPE_CHECKING:
    import pandas as pd

FILE = "statistics.csv"
CORRELATIONS = "correlations.csv"
_FIGURES = ("count", "missing", "mean", "median", "std", "min", "q1", "q3", "max")
_SHOWN_PAIRS = 8
_STRONG = 0.5


@skill(
    "table.describe",
    synonyms=(
        "describe",
        "statistics",
        "statistical analysis",
        "statistical summary",
        "descriptive statistics",
        "stats",
        "mean",
        "median",
        "standard deviation",
        "variance",
        "quartiles",
        "distribution of the numbers",
        "correlations",
        "correlation table",
        "summary statistics",
        "summarize the data",
        "summarise the numbers",
        "summarize the table",
        "average",
        "analyze the numbers",
        "analyse the data",
    ),
    examples=(
        "performing statistical analysis",
        "compute mean and median",
        "describe the numeric columns",
        "calculate summary statistics",
        "compute the correlations between the columns",
        "analyze the dataset",
    ),
    produces=("statistics.csv", "correlations.csv"),
)
def describe(
    table: Table,
    columns: Annotated[
        list[str] | None, Column("number"), "The columns to describe; left out, all with numbers."
    ] = None,
) -> Finding:
    """Describe number columns: mean, median, standard deviation, quartiles and correlations.

    The standard deviation is that of a sample (divided by n - 1), quartiles are interpolated, correlations are
    Pearson's over the rows that have both values.
    """
    chosen = columns or number_columns(table)
    if not chosen:
        raise UserError("table.describe: the table has no column of numbers; give one that has")
    statistics = {name: _statistics(table[name]) for name in chosen}
    write_csv(FILE, ["column", *_FIGURES], ([name, *one.values()] for name, one in statistics.items()))
    matrix = correlations(table, chosen)
    write_csv(
        CORRELATIONS,
        ["column", *chosen],
        (
            [name, *("" if cell != cell else round(cell, 6) for cell in row.values())]
            for name, row in matrix.items()
        ),
    )
    pairs = closest_pairs(matrix)
    return Finding(
        title="Statistics",
        headline=_headline(table, chosen, pairs),
        notes=[_pair_sentence(pair) for pair in pairs[:3] if abs(pair.pearson) >= _STRONG],
        tables=[
            Shown(
                title="Number columns",
                columns=[
                    "Column",
                    "Values",
                    "Mean",
                    "Median",
                    "Std. dev.",
                    "Min",
                    "1st quartile",
                    "3rd quartile",
                    "Max",
                ],
                rows=[_shown_row(name, one) for name, one in statistics.items()],
            ),
            *_pair_table(pairs),
            *_category_table(table),
        ],
        files=[FILE, CORRELATIONS],
        data={
            "rows": len(table),
            "statistics": statistics,
            "correlations": [{"columns": [pair.one, pair.other], "pearson": pair.pearson} for pair in pairs],
        },
    )


def _statistics(values: pd.Series) -> dict[str, float]:
    present = values.dropna().astype("float64")
    return {
        "count": len(present),
        "missing": int(values.isna().sum()),
        "mean": float(present.mean()),
        "median": float(present.median()),
        "std": float(present.std()),
        "min": float(present.min()),
        "q1": float(present.quantile(0.25)),
        "q3": float(present.quantile(0.75)),
        "max": float(present.max()),
    }


def _headline(table: pd.DataFrame, chosen: list[str], pairs: list[Pair]) -> str:
    start = f"{counted(len(table), 'row')}, {counted(len(chosen), 'number column')} ({listed(chosen)})"
    if not pairs:
        return f"{start}."
    closest = pairs[0]
    return f"{start}; the closest pair is {closest.one} and {closest.other} (r = {closest.pearson:.2f})."


def _pair_sentence(pair: Pair) -> str:
    direction = "rises" if pair.pearson > 0 else "falls"
    return f"As {pair.one} rises, {pair.other} {direction}: r = {pair.pearson:.2f}."


def _shown_row(name: str, one: dict[str, float]) -> list[object]:
    figures = [number(one[key]) for key in ("mean", "median", "std", "min", "q1", "q3", "max")]
    return [name, int(one["count"]), *figures]


def _pair_table(pairs: list[Pair]) -> list[Shown]:
    if not pairs:
        return []
    rows = [[pair.one, pair.other, f"{pair.pearson:.3f}"] for pair in pairs[:_SHOWN_PAIRS]]
    return [Shown(title="Closest pairs of columns", columns=["Column", "Column", "Correlation"], rows=rows)]


def _category_table(table: pd.DataFrame) -> list[Shown]:
    """The columns of repeated words, by their most common value."""
    rows: list[list[object]] = []
    for name in table.columns:
        values = table[name].dropna()
        if table[name].dtype.kind in "iufM" or not 1 < values.nunique() <= max(2, len(values) // 2):
            continue
        common = values.astype(str).value_counts(sort=False)
        top = min(common.index, key=lambda value: (-common[value], value))
        rows.append([name, int(values.nunique()), shortened(str(top), 40), percent(int(common[top]), len(values))])
    columns = ["Column", "Distinct values", "Most common", "Its share"]
    return [Shown(title="Category columns", columns=columns, rows=rows)] if rows else []
