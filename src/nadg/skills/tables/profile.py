"""What a table holds, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg.skills.api import Finding, RawTable, Shown, skill
from nadg.skills.columns import Kind, kind_of, missing_cells
from nadg.skills.wording import counted, listed, number, percent, shortened
from nadg.skills.writing import write_csv

if TYPE_CHECKING:
    import pandas as pd

FILE = "profile.csv"
_KINDS: tuple[Kind, ...] = ("number", "category", "date", "text", "empty")


@skill(
    "table.profile",
    synonyms=(
        "profile",
        "data profile",
        "overview of the columns",
        "column types",
        "data types",
        "data quality",
        "inspect",
        "explore the dataset",
        "what is in the file",
        "schema",
        "eda",
        "exploratory data analysis",
        "exploratory analysis",
        "missing value counts",
    ),
    examples=(
        "profile the dataset",
        "which columns does the table have",
        "check the data quality",
        "inspect the file",
        "how many missing values are there",
    ),
    produces=("profile.csv",),
)
def profile(table: RawTable) -> Finding:
    """Tell what a table holds: each column's kind, missing and distinct values, range and examples."""
    columns = [_profiled(name, table[name]) for name in table.columns]
    write_csv(FILE, list(columns[0]), (list(one.values()) for one in columns))
    missing = sum(int(str(one["missing"])) for one in columns)
    repeated = int(table.duplicated().sum())
    kinds = [f"{sum(one['kind'] == kind for one in columns)} {kind}" for kind in _KINDS]
    incomplete = [str(one["column"]) for one in columns if one["missing"]]
    notes = [
        f"Cells are missing in {listed(incomplete)}." if incomplete else "No cell is missing.",
        f"{counted(repeated, 'row')} repeat an earlier one." if repeated else "No row is repeated.",
    ]
    return Finding(
        title="Profile",
        headline=f"The table has {counted(len(table), 'row')} and {counted(len(columns), 'column')} "
        f"({listed([one for one in kinds if not one.startswith('0 ')])}); "
        f"{percent(missing, table.size)} of its cells are missing.",
        notes=notes,
        tables=[
            Shown(
                title="Columns",
                columns=["Column", "Kind", "Missing", "Distinct", "Range or examples"],
                rows=[
                    [one["column"], one["kind"], one["missing"], one["distinct"], one["range_or_examples"]]
                    for one in columns
                ],
            )
        ],
        files=[FILE],
        data={"rows": len(table), "columns": columns, "missing_cells": missing, "repeated_rows": repeated},
    )


def _profiled(name: str, raw: pd.Series) -> dict[str, object]:
    missing = missing_cells(raw)
    cells = raw[~missing].str.strip()
    kind = kind_of(raw)
    return {
        "column": name,
        "kind": kind,
        "missing": int(missing.sum()),
        "distinct": int(cells.nunique()),
        "range_or_examples": _range(kind, cells),
    }


def _range(kind: Kind, cells: pd.Series) -> str:
    if kind == "number":
        numbers = cells.astype("float64")
        return f"{number(float(numbers.min()))} to {number(float(numbers.max()))}"
    if kind == "date":
        return f"{cells.min()} to {cells.max()}"
    common = cells.value_counts(sort=False)
    ranked = sorted(common.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return "; ".join(shortened(str(value), 40) for value, _ in ranked[:3])
