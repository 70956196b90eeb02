"""How the values of a column are spread."""

from __future__ import annotations

from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Picture, Range, Table, skill
from nadg.skills.charts.draw import draw_histogram
from nadg.skills.charts.style import hide_unused, picture
from nadg.skills.columns import number_columns
from nadg.skills.wording import counted, listed, number, spaced

FILE = "histogram.png"
MOST_PANELS = 9


@skill(
    "chart.histogram",
    synonyms=(
        "histogram",
        "histograms",
        "distribution",
        "distribution plot",
        "spread of values",
        "frequency plot",
        "bins",
    ),
    examples=(
        "plot a histogram of Horsepower",
        "show the distribution of prices",
        "draw histograms of the number columns",
    ),
    produces=("histogram.png",),
)
def histogram(
    table: Table,
    columns: Annotated[
        list[str] | None, Column("number"), "What to draw; left out, up to nine number columns."
    ] = None,
    bins: Annotated[int | None, Range(2, 200), "How many bars; left out, as many as suit the data."] = None,
) -> Finding:
    """Draw a histogram: how the values of a number column are spread."""
    chosen = (columns or number_columns(table))[:MOST_PANELS]
    if not chosen:
        raise UserError("chart.histogram: the table has no column of numbers; give one that has")
    write_histograms(FILE, table, chosen, bins)
    ranges = {
        name: (float(table[name].min()), float(table[name].max()), float(table[name].median())) for name in chosen
    }
    notes = [
        f"{name} goes from {number(low)} to {number(high)}, with half of the values below {number(median)}."
        for name, (low, high, median) in ranges.items()
    ]
    return Finding(
        title=f"Distribution of {listed(chosen)}",
        headline=notes[0] if len(chosen) == 1 else f"How {counted(len(chosen), 'number column')} are spread.",
        notes=[] if len(chosen) == 1 else notes,
        pictures=[Picture(file=FILE, caption=f"Distribution of {listed([spaced(name) for name in chosen])}")],
        data={
            "columns": [
                {"column": name, "min": low, "max": high, "median": median}
                for name, (low, high, median) in ranges.items()
            ]
        },
    )


def write_histograms(file: str, table: Table, chosen: list[str], bins: int | None = None) -> None:
    """One panel per column, up to three in a row."""
    across = min(3, len(chosen)) if len(chosen) != 4 else 2
    down = -(-len(chosen) // across)
    width, height = (8, 4.5) if len(chosen) == 1 else (4.2 * across, 3.3 * down)
    with picture(file, width=width, height=height, rows=down, columns=across) as (_, panels):
        for axes, name in zip(panels, chosen, strict=False):
            draw_histogram(axes, table[name], name, bins)
            axes.set_title(f"Distribution of {spaced(name)}" if len(chosen) == 1 else spaced(name))
        hide_unused(panels, len(chosen))
