"""How strongly number columns go together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import pandas as pd


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two columns and Pearson's correlation between them."""

    one: str
    other: str
    pearson: float


def correlations(table: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Pearson's correlation of every column with every other, over rows that have both values; NaN for none."""
    values = table[list(names)].corr().to_numpy(dtype=float)
    return {
        one: {other: float(values[row, place]) for place, other in enumerate(names)}
        for row, one in enumerate(names)
    }


def closest_pairs(matrix: Mapping[str, Mapping[str, float]]) -> list[Pair]:
    """Every pair that has a correlation, the closest first, equal ones in the order of the columns."""
    found = (Pair(one=a, other=b, pearson=round(matrix[a][b], 6)) for a, b in itertools.combinations(matrix, 2))
    return sorted((pair for pair in found if pair.pearson == pair.pearson), key=lambda pair: -abs(pair.pearson))
