"""Which number columns go together."""

from __future__ import annotations

from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Column, Finding, Picture, Table, skill
from nadg.skills.charts.draw import draw_heatmap
from nadg.skills.charts.style import picture
from nadg.skills.columns import number_columns
from nadg.skills.tables.correlate import closest_pairs, correlations
from nadg.skills.wording import counted

FILE = "heatmap.png"
MOST_COLUMNS = 30


@skill(
    "chart.heatmap",
    synonyms=(
        "heatmap",
        "heat map",
        "correlation heat map",
        "correlation heatmap",
        "correlation matrix",
        "correlation plot",
    ),
    examples=("correlation heat map", "draw a heatmap of the correlations", "plot the correlation matrix"),
    produces=("heatmap.png",),
)
def heatmap(
    table: Table,
    columns: Annotated[
        list[str] | None, Column("number"), "What to compare; left out, all number columns."
    ] = None,
) -> Finding:
    """Draw a correlation heat map of the number columns."""
    chosen = (columns or number_columns(table))[:MOST_COLUMNS]
    if len(chosen) < 2:
        raise UserError("chart.heatmap: fewer than two columns of numbers to compare; give a table that has two")
    matrix = write_heatmap(FILE, table, chosen)
    pairs = closest_pairs(matrix)
    closest = pairs[0] if pairs else None
    return Finding(
        title="Correlations",
        headline=f"Of {counted(len(chosen), 'number column')}, {closest.one} and {closest.other} go together "
        f"most closely (r = {closest.pearson:.2f})."
        if closest
        else "No column changes together with another.",
        pictures=[Picture(file=FILE, caption="Correlations between the number columns")],
        data={"columns": chosen, "correlations": matrix},
    )


def write_heatmap(file: str, table: Table, chosen: list[str]) -> dict[str, dict[str, float]]:
    """Write the picture; the correlations are returned."""
    matrix = correlations(table, chosen)
    side = 2.6 + 0.62 * len(chosen)
    with picture(file, width=max(6.0, side + 1.2), height=max(4.6, side)) as (figure, (axes,)):
        draw_heatmap(figure, axes, matrix)
        axes.set_title("Correlations between the number columns")
    return matrix
