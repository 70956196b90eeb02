"""Tables written as CSV that any reader takes: UTF-8, quoted where needed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def write_csv(file: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table into the current folder."""
    with Path(file).open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_frame(file: str, table: pd.DataFrame) -> None:
    """Write a pandas table without its index; missing values become empty cells."""
    write_csv(file, list(table.columns), (_cells(row) for row in table.itertuples(index=False, name=None)))


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """`wanted`, or the first of `wanted_2`, `wanted_3` … that no column has."""
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _cells(row: Sequence[object]) -> list[object]:
    return ["" if value is None or value != value or str(value) in ("<NA>", "NaT") else value for value in row]
