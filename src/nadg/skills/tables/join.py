"""Tables put side by side where their keys agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, RawTables, Shown, skill
from nadg.skills.columns import missing_cells
from nadg.skills.wording import counted, listed, shortened
from nadg.skills.writing import write_frame

if TYPE_CHECKING:
    import pandas as pd

FILE = "joined.csv"
How = Literal["inner", "left", "right", "outer"]
_MOST_ROWS = 5_000_000
_NO_KEY = "\0"
_SHOWN = 5


@skill(
    "table.join",
    synonyms=(
        "join",
        "merge tables",
        "combine tables",
        "combine the files",
        "link tables",
        "look up",
        "vlookup",
        "match rows",
        "inner join",
        "left join",
        "outer join",
        "on key",
    ),
    examples=(
        "join the two tables on id",
        "merge the files by customer",
        "combine orders with customers",
        "look up the prices of the products",
    ),
    produces=("joined.csv",),
    primary_table="joined.csv",
)
def join(
    tables: RawTables,
    on: Annotated[
        list[str] | None, Column("any"), "The columns that must agree; left out, those all tables have."
    ] = None,
    how: Annotated[
        How, "Whose rows stay without a partner: nobody's, the first table's, the second's, all."
    ] = "inner",
) -> Finding:
    """Join tables on the columns that they share.

    Keys are compared as text, spaces around them left aside; a missing key agrees with nothing. Other columns of
    one name get the name of their file behind it. Three tables or more are joined from first to last.
    """
    keys = on or _shared(tables)
    names = list(tables)
    joined = _prepared(names[0], tables[names[0]], keys)
    for name in names[1:]:
        joined = _joined(joined, _prepared(name, tables[name], keys), keys, how, _stem(name))
    for key in keys:
        joined[key] = joined[key].mask(joined[key].str.startswith(_NO_KEY), "")
    write_frame(FILE, joined)
    sizes = [f"{name} ({counted(len(table), 'row')})" for name, table in tables.items()]
    shown = joined.head(_SHOWN)
    none = [] if len(joined) else [f"No value of {listed(keys)} stands in all of the tables."]
    return Finding(
        title="Joined tables",
        headline=f"{listed(sizes)}, joined on {listed(keys)} ({how}), give {counted(len(joined), 'row')} "
        f"with {counted(joined.shape[1], 'column')}.",
        notes=none,
        tables=[
            Shown(
                title="First rows",
                columns=list(joined.columns),
                rows=[
                    [shortened(str(cell), 40) for cell in row] for row in shown.itertuples(index=False, name=None)
                ],
            )
        ]
        if len(joined)
        else [],
        files=[FILE],
        data={
            "on": keys,
            "how": how,
            "rows": len(joined),
            "columns": list(joined.columns),
            "rows_of": {name: len(table) for name, table in tables.items()},
        },
    )


def _shared(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    first, *others = tables.values()
    shared = [str(name) for name in first.columns if all(name in other.columns for other in others)]
    if shared:
        return shared
    columns = "; ".join(f"{name} has {listed(list(map(str, table.columns)))}" for name, table in tables.items())
    raise UserError(f"table.join: the tables share no column ({columns}); give one the other's name")


def _prepared(name: str, table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Keys without spaces around them; a missing one becomes unlike any other."""
    prepared = table.copy()
    for key in keys:
        missing = missing_cells(table[key])
        unlike = [f"{_NO_KEY}{name}:{row}" for row in range(len(table))]
        prepared[key] = table[key].str.strip().mask(missing, unlike)
    return prepared


def _joined(left: pd.DataFrame, right: pd.DataFrame, keys: list[str], how: How, stem: str) -> pd.DataFrame:
    left_counts, right_counts = left.value_counts(keys), right.value_counts(keys)
    rows = int(left_counts.mul(right_counts, fill_value=0).sum())
    if rows > _MOST_ROWS:
        raise UserError(
            f"table.join: {listed(keys)} repeats so often that the result would have {rows:,} rows "
            f"(at most {_MOST_ROWS:,}); join on more columns with the argument 'on'"
        )
    taken = set(left.columns) | set(right.columns)
    renamed = {
        name: _renamed(str(name), stem, taken)
        for name in right.columns
        if name in left.columns and name not in keys
    }
    return left.merge(right.rename(columns=renamed), on=keys, how=how).fillna("")


def _renamed(name: str, stem: str, taken: set[str]) -> str:
    new, number = f"{name}_{stem}", 1
    while new in taken:
        number += 1
        new = f"{name}_{stem}_{number}"
    taken.add(new)
    return new


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
