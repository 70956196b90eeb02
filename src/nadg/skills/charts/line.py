"""How a number goes over time or along another number."""

from __future__ import annotations

from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Picture, Table, skill
from nadg.skills.charts.draw import draw_lines
from nadg.skills.charts.style import PALETTE, hide_unused, picture
from nadg.skills.columns import number_columns
from nadg.skills.wording import counted, listed, number, spaced

FILE = "line.png"
MOST_LINES = 4
_SAME_SCALE = 5.0


@skill(
    "chart.line",
    synonyms=(
        "line chart",
        "line graph",
        "line plot",
        "time series",
        "over time",
        "trend",
        "trends",
        "development over",
        "by year",
        "by month",
        "curve",
        "plot by",
        "plot over",
    ),
    examples=(
        "line chart of sales over time",
        "plot the trend of Miles_per_Gallon by Year",
        "show the time series",
    ),
    produces=("line.png",),
)
def line(
    table: Table,
    x: Annotated[
        str | None, Column("any"), "The column across; left out, a date, or else the first number column."
    ] = None,
    y: Annotated[
        list[str] | None, Column("number"), "The columns to draw; left out, up to four number columns."
    ] = None,
) -> Finding:
    """Draw a line chart: number columns over time or along another number; equal places are averaged."""
    across = x or _along(table)
    upwards = y or [name for name in number_columns(table) if name != across][:MOST_LINES]
    if across is None or not upwards:
        raise UserError(
            "chart.line: a line needs a date or number column across and another number column upwards"
        )
    lines = line_points(table, across, upwards)
    if lines.empty:
        raise UserError(f"chart.line: the column {across!r} holds no value to draw along; choose another for 'x'")
    write_lines(FILE, across, lines)
    averaged = len(lines) < int(table[across].notna().sum())
    what = f"{'Average ' if averaged else ''}{listed(upwards)}"
    return Finding(
        title=f"{what} along {across}",
        headline=f"{what} along {across}, {counted(len(lines), 'place')} from {lines.index[0]!s:.10} "
        f"to {lines.index[-1]!s:.10}.",
        notes=[
            _course(name, float(lines[name].dropna().iloc[0]), float(lines[name].dropna().iloc[-1]))
            for name in upwards
        ],
        pictures=[Picture(file=FILE, caption=f"{what} along {spaced(across)}")],
        data={"x": across, "y": upwards, "places": len(lines), "averaged": averaged},
    )


def line_points(table: Table, x: str, y: list[str]) -> Table:
    """The mean of each column at every place of `x`, in order."""
    return table.dropna(subset=[x]).groupby(x, sort=True)[y].mean().dropna(how="all")


def write_lines(file: str, x: str, lines: Table) -> None:
    """One panel for lines of one scale; a panel for each where their scales would flatten some of them."""
    sizes = lines.abs().max()
    together = lines.shape[1] == 1 or float(sizes.max()) <= _SAME_SCALE * float(sizes.min())
    groups = [lines] if together else [lines[[name]] for name in lines.columns]
    height = 4.5 if together else 1 + 2.1 * len(groups)
    with picture(file, width=8, height=height, rows=len(groups)) as (figure, panels):
        for place, (axes, group) in enumerate(zip(panels, groups, strict=True)):
            draw_lines(axes, x, group)
            if not together:
                axes.lines[0].set_color(PALETTE[place % len(PALETTE)])
                if place < len(groups) - 1:
                    axes.set_xlabel("")
                    axes.tick_params(labelbottom=False)
        title = f"{listed([spaced(str(name)) for name in lines.columns])} along {spaced(x)}"
        if together:
            panels[0].set_title(title)
        else:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12)
        hide_unused(panels, len(groups))


def _along(table: Table) -> str | None:
    """The first date column with more than one date, else the first number column."""
    dates = [str(name) for name in table.columns if table[name].dtype.kind == "M" and table[name].nunique() > 1]
    return next(iter([*dates, *number_columns(table)]), None)


def _course(name: str, first: float, last: float) -> str:
    change = "stays at" if last == first else f"goes from {number(first)} to"
    return f"{name} {change} {number(last)}."
