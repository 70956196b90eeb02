"""The scored rows of all batches, read back in order while they are written into one file.

Only the figures are kept: a table of millions of rows is merged without holding its texts.
"""

from __future__ import annotations

import csv
import heapq
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from nadg.domain.errors import UserError
from nadg.skills.api import Part
from nadg.skills.columns import is_identifier_name, is_missing, number_in
from nadg.skills.writing import free_name

FILE = "sentiment.csv"
PICTURE = "sentiment.png"
_KEPT_EXAMPLES = 10
_LEAST_ROWS = 3


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """How the scores go with a column of numbers, over the rows that have one."""

    column: str
    pearson: float
    spearman: float
    """Of mean ranks."""
    rows: int


class NumberColumn:
    """The numbers of a column, until a cell turns out to hold something else."""

    def __init__(self) -> None:
        self.values: array[float] | None = array("d")

    def add(self, cell: str) -> None:
        if self.values is None:
            return
        value = float("nan") if is_missing(cell) else number_in(cell)
        if value is None:
            self.values = None
        else:
            self.values.append(value)

    def skip(self, count: int) -> None:
        if self.values is not None:
            self.values.extend([float("nan")] * count)


class ScoredRows:
    """What stays in mind of the rows: their scores, their number columns, their extremes."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.compounds: array[float] = array("d")
        self.numbers: dict[str, NumberColumn] = {}
        self._highest: list[tuple[float, int, str]] = []
        self._lowest: list[tuple[float, int, str]] = []

    def add(self, cells: dict[str, str], compound: float) -> None:
        index = len(self.compounds)
        for name, cell in cells.items():
            self._numbers_of(name, index).add(cell)
        self.compounds.append(compound)
        text = cells.get(self.column, "")
        _keep(self._highest, (compound, -index, text))
        _keep(self._lowest, (-compound, -index, text))

    def _numbers_of(self, name: str, index: int) -> NumberColumn:
        if name not in self.numbers:
            self.numbers[name] = NumberColumn()
            self.numbers[name].skip(index)
        return self.numbers[name]

    def most_positive(self, count: int) -> list[dict[str, object]]:
        best = sorted(self._highest, reverse=True)[:count]
        return [{"row": 1 - index, "compound": score, "text": text} for score, index, text in best if score > 0]

    def most_negative(self, count: int) -> list[dict[str, object]]:
        worst = sorted(self._lowest, reverse=True)[:count]
        return [{"row": 1 - index, "compound": -score, "text": text} for score, index, text in worst if score > 0]

    def correlations(self) -> list[Correlation]:
        """Of the compound score with every column of amounts."""
        import numpy as np

        compounds = np.asarray(self.compounds)
        found = (
            _correlation(name, np.asarray(column.values), compounds)
            for name, column in self.numbers.items()
            if column.values is not None and not is_identifier_name(name)
        )
        return [one for one in found if one is not None]


def read_parts(parts: Sequence[Part]) -> ScoredRows:
    """Write the rows of all parts, in order, into one `sentiment.csv` in the current folder."""
    files = [part.folder / FILE for part in parts]
    columns = list(dict.fromkeys(name for file in files for name in _header(file)))
    scored = ScoredRows(_text_column(parts))
    with Path(FILE).open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*columns, free_name("compound", columns), free_name("sentiment", columns)])
        for file in files:
            for cells, compound, label in _rows(file):
                scored.add(cells, float(compound))
                writer.writerow([*(cells.get(name, "") for name in columns), compound, label])
    return scored


def _text_column(parts: Sequence[Part]) -> str:
    chosen = {str(part.result["column"]): None for part in parts if isinstance(part.result, dict)}
    if len(chosen) > 1:
        names = " and ".join(map(repr, chosen))
        raise UserError(
            f"text.sentiment: batches of the table chose the columns {names}; set the argument 'column'"
        )
    return next(iter(chosen), "")


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as lines:
        return next(csv.reader(lines))[:-2]


def _rows(file: Path) -> Iterator[tuple[dict[str, str], str, str]]:
    """Each row's own cells, its score and its label: a part always has the last two as its last columns."""
    with file.open(encoding="utf-8", newline="") as lines:
        records = csv.reader(lines)
        header = next(records)[:-2]
        for record in records:
            yield dict(zip(header, record, strict=False)), record[-2], record[-1]


def _keep(heap: list[tuple[float, int, str]], entry: tuple[float, int, str]) -> None:
    if len(heap) < _KEPT_EXAMPLES:
        heapq.heappush(heap, entry)
    elif entry > heap[0]:
        heapq.heapreplace(heap, entry)


def _correlation(name: str, values: object, compounds: object) -> Correlation | None:
    """None where fewer than three rows have both, a side never changes, or the column counts the rows."""
    import numpy as np
    import pandas as pd

    numbers, scores = np.asarray(values, dtype=float), np.asarray(compounds, dtype=float)
    numbers = np.concatenate([numbers, np.full(len(scores) - len(numbers), np.nan)])
    if len(numbers) >= _LEAST_ROWS and (np.diff(numbers) == 1).all():
        return None
    both = ~np.isnan(numbers)
    numbers, scores = numbers[both], scores[both]
    if len(numbers) < _LEAST_ROWS or np.ptp(numbers) == 0 or np.ptp(scores) == 0:
        return None
    ranks = pd.Series(numbers).rank().to_numpy(), pd.Series(scores).rank().to_numpy()
    return Correlation(
        column=name,
        pearson=round(float(np.corrcoef(numbers, scores)[0, 1]), 6),
        spearman=round(float(np.corrcoef(*ranks)[0, 1]), 6),
        rows=len(numbers),
    )
