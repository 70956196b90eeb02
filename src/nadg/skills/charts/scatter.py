"""Two number columns against each other."""

from __future__ import annotations

from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Picture, Table, skill
from nadg.skills.charts.draw import draw_scatter
from nadg.skills.charts.style import picture
from nadg.skills.columns import number_columns
from nadg.skills.tables.correlate import Pair, closest_pairs, correlations
from nadg.skills.wording import counted, spaced

FILE = "scatter.png"
_VARIED = 12
"""Columns with fewer different values than this make stripes, not a cloud: others are preferred."""


@skill(
    "chart.scatter",
    synonyms=(
        "scatter",
        "scatter plot",
        "scatterplot",
        "scatter chart",
        "against",
        "versus",
        "vs",
        "relationship between",
        "point cloud",
        "x and y",
    ),
    examples=(
        "scatter plot of weight against acceleration",
        "plot price versus size",
        "show how Horsepower relates to Weight",
    ),
    produces=("scatter.png",),
)
def scatter(
    table: Table,
    x: Annotated[str | None, Column("number"), "The column across; left out, one of the closest pair."] = None,
    y: Annotated[str | None, Column("number"), "The column upwards; left out, one of the closest pair."] = None,
    color: Annotated[str | None, Column("category"), "The column that colours the points."] = None,
) -> Finding:
    """Draw a scatter plot: one number column against another, with the line of best fit."""
    pair = closest_pair(table, x, y)
    if pair is None:
        raise UserError(
            "chart.scatter: fewer than two columns of numbers that change together; name them with 'x' and 'y'"
        )
    across, upwards = pair
    correlation = write_scatter(FILE, table, across, upwards, color)
    points = int(table[[across, upwards]].notna().all(axis=1).sum())
    strength = (
        f"a correlation of {correlation:.2f} (Pearson)"
        if correlation is not None
        else "no correlation to speak of"
    )
    return Finding(
        title=f"{upwards} against {across}",
        headline=f"{upwards} against {across}: {strength} over {counted(points, 'row')}.",
        pictures=[Picture(file=FILE, caption=f"{spaced(upwards)} against {spaced(across)}")],
        data={"x": across, "y": upwards, "color": color, "points": points, "pearson": correlation},
    )


def closest_pair(table: Table, x: str | None = None, y: str | None = None) -> tuple[str, str] | None:
    """The columns across and upwards, those left out chosen so that the correlation is strongest."""
    if x and y:
        return x, y
    columns = number_columns(table)
    fixed = x or y
    names = list(dict.fromkeys([*columns, fixed] if fixed else columns))
    pairs = closest_pairs(correlations(table, names)) if len(names) > 1 else []
    fitting = [pair for pair in pairs if fixed is None or fixed in (pair.one, pair.other)]
    if not fitting:
        return None
    best = next((pair for pair in fitting if _varied(table, pair)), fitting[0])
    if fixed is None:
        return best.one, best.other
    other = best.other if best.one == fixed else best.one
    return (other, fixed) if y else (fixed, other)


def _varied(table: Table, pair: Pair) -> bool:
    return all(table[name].nunique() >= _VARIED for name in (pair.one, pair.other))


def write_scatter(file: str, table: Table, x: str, y: str, color: str | None) -> float | None:
    """Write the picture; the correlation is returned."""
    with picture(file, width=8, height=5) as (_, (axes,)):
        correlation = draw_scatter(axes, table, x, y, color)
        stated = f" (r = {correlation:.2f})" if correlation is not None else ""
        axes.set_title(f"{spaced(y)} against {spaced(x)}{stated}")
    return correlation
