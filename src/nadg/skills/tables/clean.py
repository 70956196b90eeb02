"""Missing values put right, cell by cell; every other cell stays exactly as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from nadg.domain.errors import UserError
from nadg.skills.api import Finding, RawTable, Shown, skill
from nadg.skills.columns import kind_of, missing_cells
from nadg.skills.wording import counted, number, percent
from nadg.skills.writing import write_frame

if TYPE_CHECKING:
    import pandas as pd

FILE = "cleaned.csv"
Strategy = Literal["auto", "fill", "drop"]
_MOSTLY_EMPTY = 0.6
"""Beyond this share of missing cells `auto` drops a column: a fill would invent most of it."""


class Mend(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about one column's missing cells."""

    column: str
    missing: int
    done: str
    filled_with: str | None = None
    dropped: bool = False


@skill(
    "table.clean",
    synonyms=(
        "clean",
        "cleaning",
        "cleanse",
        "clean up",
        "tidy",
        "missing values",
        "clean missing values",
        "fill missing values",
        "impute",
        "drop missing",
        "remove incomplete rows",
        "handle nulls",
        "empty cells",
        "data cleaning",
        "preprocess",
    ),
    examples=(
        "cleaning missing values",
        "clean the data",
        "fill in the missing values",
        "drop rows with empty cells",
        "impute missing numbers",
        "tidy up the table",
    ),
    produces=("cleaned.csv",),
    primary_table="cleaned.csv",
)
def clean(
    table: RawTable,
    strategy: Annotated[
        Strategy,
        "fill: numbers by the median, categories by the most common value; drop: rows with a missing cell go; "
        "auto: fill, but drop columns that are mostly empty.",
    ] = "auto",
    repeated_rows: Annotated[Literal["keep", "drop"], "What happens to rows that repeat an earlier one."] = "keep",
) -> Finding:
    """Clean a table: fill or drop missing values, trim stray spaces, drop empty rows.

    Missing are empty cells and words such as NA, null or `?`. `cleaned.csv` is the table for what comes after.
    """
    trimmed = _trimmed(table)
    missing = trimmed.apply(missing_cells)
    empty = missing.all(axis=1)
    trimmed, missing = trimmed[~empty], missing[~empty]
    cleaned, mends = (_without_gaps if strategy == "drop" else _filled)(trimmed, missing, strategy)
    repeated = cleaned.duplicated()
    if repeated_rows == "drop":
        cleaned = cleaned[~repeated]
    if cleaned.empty:
        raise UserError("table.clean: every row has a missing cell, so none would be left; use `strategy: fill`")
    write_frame(FILE, cleaned)
    return _finding(
        table, cleaned, mends, int(missing.sum().sum()), int(empty.sum()), int(repeated.sum()), repeated_rows
    )


def _finding(
    table: pd.DataFrame,
    cleaned: pd.DataFrame,
    mends: list[Mend],
    missing: int,
    empty_rows: int,
    repeated: int,
    repeated_rows: str,
) -> Finding:
    touched = [mend for mend in mends if mend.missing]
    notes = [f"{counted(empty_rows, 'empty row')} went."] if empty_rows else []
    if repeated:
        fate = "were dropped" if repeated_rows == "drop" else "are kept (set `repeated_rows: drop` to drop them)"
        notes.append(f"{counted(repeated, 'row')} repeat an earlier one and {fate}.")
    gaps = (
        f"{counted(missing, 'cell')} in {counted(len(touched), 'column')} were missing "
        f"({percent(missing, table.size)} of all)"
        if missing
        else "No cell was missing"
    )
    return Finding(
        title="Cleaning",
        headline=f"{gaps}; {len(cleaned):,} of {counted(len(table), 'row')} and {cleaned.shape[1]} of "
        f"{counted(table.shape[1], 'column')} remain.",
        notes=notes,
        tables=[
            Shown(
                title="What was done",
                columns=["Column", "Missing", "Done"],
                rows=[[mend.column, mend.missing, mend.done] for mend in touched],
            )
        ]
        if touched
        else [],
        files=[FILE],
        data={
            "rows_before": len(table),
            "rows_after": len(cleaned),
            "columns_before": table.shape[1],
            "columns_after": cleaned.shape[1],
            "missing_cells": missing,
            "empty_rows": empty_rows,
            "repeated_row_count": repeated,
            "columns": touched,
        },
    )


def _trimmed(table: pd.DataFrame) -> pd.DataFrame:
    trimmed: pd.DataFrame = table.apply(lambda raw: raw.str.strip())
    return trimmed


def _without_gaps(table: pd.DataFrame, missing: pd.DataFrame, _: Strategy) -> tuple[pd.DataFrame, list[Mend]]:
    mends = [
        Mend(column=str(name), missing=int(gaps.sum()), done="rows with a missing cell were dropped")
        for name, gaps in missing.items()
    ]
    return table[~missing.any(axis=1)], mends


def _filled(table: pd.DataFrame, missing: pd.DataFrame, strategy: Strategy) -> tuple[pd.DataFrame, list[Mend]]:
    mends = [_mend(str(name), table[name], missing[name], strategy) for name in table.columns]
    cleaned = table.copy()
    for mend in mends:
        if mend.missing:
            cleaned[mend.column] = table[mend.column].mask(missing[mend.column], mend.filled_with or "")
    return cleaned.drop(columns=[mend.column for mend in mends if mend.dropped]), mends


def _mend(name: str, raw: pd.Series, missing: pd.Series, strategy: Strategy) -> Mend:
    gaps = int(missing.sum())
    if not gaps:
        return Mend(column=name, missing=0, done="nothing to do")
    if strategy == "auto" and gaps > _MOSTLY_EMPTY * len(raw):
        share = percent(gaps, len(raw))
        return Mend(column=name, missing=gaps, done=f"the column was dropped ({share} missing)", dropped=True)
    cells = raw[~missing]
    kind = kind_of(raw)
    if kind == "number":
        value = _median(cells)
        return Mend(
            column=name, missing=gaps, done=f"filled with the median, {number(float(value))}", filled_with=value
        )
    common = cells.value_counts(sort=False)
    if kind == "category" and len(common) < len(cells):
        value = min(common.index, key=lambda cell: (-common[cell], str(cell)))
        done = f"filled with the most common value, “{value}”"
        return Mend(column=name, missing=gaps, done=done, filled_with=str(value))
    return Mend(column=name, missing=gaps, done=f"left empty: no value stands for the others ({kind})")


def _median(cells: pd.Series) -> str:
    """The median, written like the column's own cells: whole where all of them are whole."""
    numbers = cells.astype("float64")
    if cells.str.fullmatch(r"[+-]?\d+").all():
        return str(int(numbers.quantile(0.5, interpolation="lower")))
    return repr(float(numbers.median()))
